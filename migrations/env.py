"""Run by Alembic. The connection comes from `bridge.store.schema`; there is no other way in."""

from alembic import context

from bridge.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
