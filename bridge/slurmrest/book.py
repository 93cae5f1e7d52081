"""slurmdb: what operators change in the accounting book. It is kept in the state database, as by sacctmgr."""

from collections.abc import Callable, Mapping, Sequence

from adapters.slurm import errors, sacctmgr_texts
from adapters.slurm.rest import book_edits, envelope, parsing
from adapters.slurm.rest.book_edits import Writing
from adapters.slurm.rest.envelope import Error
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import Json
from bridge.core.accounting import Association, Book
from bridge.slurmrest.accounting import Accounting
from bridge.slurmrest.asking import Ask, Handler, NotModified, Reply, World

_Put = Callable[[Book, Sequence[Json], Writing], Book]
_NO_TRES = "Updating TRES is not currently supported"
_NO_CLUSTERS = ("slurmdb_clusters_add() failed", "update_clusters")
"""What is told of clusters that cannot be added, and where slurmrestd finds it."""


def handlers(world: World) -> Mapping[str, Handler]:
    one = BookWriter(world)
    return {
        "slurmdb_post_users": one.users,
        "slurmdb_post_accounts": one.accounts,
        "slurmdb_post_associations": one.associations,
        "slurmdb_post_qos": one.qos,
        "slurmdb_post_clusters": one.clusters,
        "slurmdb_post_tres": one.tres,
        "slurmdb_post_config": one.config,
        "slurmdb_post_users_association": one.users_association,
        "slurmdb_post_accounts_association": one.accounts_association,
        "slurmdb_delete_user": one.delete_user,
        "slurmdb_delete_account": one.delete_account,
        "slurmdb_delete_association": one.delete_associations,
        "slurmdb_delete_associations": one.delete_associations,
        "slurmdb_delete_single_qos": one.delete_qos,
        "slurmdb_delete_cluster": one.delete_cluster,
    }


class BookWriter:
    def __init__(self, world: World) -> None:
        self._world = world
        self._service = world.service
        self._looks = Accounting(world)

    # ── additions and changes ─────────────────────────────────────────────────────────────────────

    async def users(self, ask: Ask) -> Reply:
        return await self._put(ask, "users", book_edits.users)

    async def accounts(self, ask: Ask) -> Reply:
        return await self._put(ask, "accounts", book_edits.accounts_)

    async def associations(self, ask: Ask) -> Reply:
        return await self._put(ask, "associations", book_edits.associations)

    async def qos(self, ask: Ask) -> Reply:
        return await self._put(ask, "qos", book_edits.qos)

    async def clusters(self, ask: Ask) -> Reply:
        await self._check_clusters(ask, book_edits.listed(parsing.load(ask.body), "clusters"))
        return Reply()

    async def tres(self, ask: Ask) -> Reply:
        """What kinds of resources there are follows from the nodes; slurmdbd takes none either."""
        raise Failed(Error(_NO_TRES, errors.number_of("not_supported"), "op_handler_tres"))

    async def config(self, ask: Ask) -> Reply:
        """All of it, or nothing where something of it cannot be."""
        body = parsing.an_object(parsing.load(ask.body) or {}, "#/")
        failure, source = _NO_CLUSTERS
        if not body.get("clusters"):
            raise Failed(Error(failure, envelope.EMPTY_LIST, source))
        await self._check_clusters(ask, book_edits.listed(body, "clusters"))
        writing = await self._writing(ask)

        def change(book: Book) -> Book:
            for name, put in _IN_ORDER.items():
                if body.get(name):
                    book = put(book, book_edits.listed(body, name), writing)
            return book

        await self._edit(change)
        return Reply()

    async def _check_clusters(self, ask: Ask, given: Sequence[Json]) -> None:
        """There is one, and it stays as it is."""
        failure, source = _NO_CLUSTERS
        writing = await self._writing(ask)
        if not writing.asker.is_operator:
            raise Failed(Error(failure, book_edits.DENIED, source))
        for index, value in enumerate(given):
            one = parsing.an_object(value, f"#/clusters[{index}]/")
            if not one.get("name"):
                raise Failed(Error(failure, -1, source))
            writing.check_cluster(one["name"], failure, source)

    async def _put(self, ask: Ask, name: str, put: _Put) -> Reply:
        given = book_edits.listed(parsing.load(ask.body), name)
        writing = await self._writing(ask)
        if given:
            await self._edit(lambda book: put(book, given, writing))
        return Reply()

    async def users_association(self, ask: Ask) -> Reply:
        return await self._added(ask, "user")

    async def accounts_association(self, ask: Ask) -> Reply:
        return await self._added(ask, "account")

    async def _added(self, ask: Ask, entity: str) -> Reply:
        body = parsing.load(ask.body)
        writing = await self._writing(ask)
        planned: list[sacctmgr_texts.Planned] = []

        def change(book: Book) -> Book | None:
            planned.append(book_edits.added(entity, book, book_edits.condition(body, entity, book, writing), writing))
            return planned[-1].book

        await self._edit(change)
        made = planned[-1]
        if made.book is not None:
            return Reply({f"added_{entity}s": made.stdout})
        if not made.stderr:
            raise NotModified
        text = made.stderr.strip().removeprefix("error: ")
        if "Only admins" in text:
            text = "Only admins/operators/coordinators can add accounts"
            ask.said.error(text, book_edits.DENIED, f"slurmdb_{entity}s_add_cond")
        else:
            ask.said.error(f"slurmdb_{entity}s_add_cond() failed", -1, f"_add_{entity}s_association", text)
        return Reply({f"added_{entity}s": text})

    # ── removal ───────────────────────────────────────────────────────────────────────────────────

    async def delete_user(self, ask: Ask) -> Reply:
        return await self._removed(ask, "name", "removed_users", book_edits.without_user)

    async def delete_account(self, ask: Ask) -> Reply:
        return await self._removed(ask, "account_name", "removed_accounts", book_edits.without_account)

    async def delete_qos(self, ask: Ask) -> Reply:
        try:
            return await self._removed(ask, "qos", "removed_qos", book_edits.without_qos)
        except Failed as failed:
            if failed.error is not None:
                ask.said.errors.append(failed.error)
            return Reply({"removed_qos": []})

    async def _removed(
        self,
        ask: Ask,
        parameter: str,
        field: str,
        without: Callable[[Book, str, sacctmgr_texts.Asker], Book | None],
    ) -> Reply:
        name = ask.parameters[parameter].lower()
        writing = await self._writing(ask)
        if not await self._edit(lambda book: without(book, name, writing.asker)):
            raise NotModified
        return Reply({field: [name]})

    async def delete_associations(self, ask: Ask) -> Reply:
        writing = await self._writing(ask)
        gone: list[Association] = []

        def change(book: Book) -> Book | None:
            gone[:] = self._looks.chosen_associations(ask, book, "op_handler_associations")
            return book_edits.without_associations(book, gone, writing.asker)

        try:
            is_changed = await self._edit(change)
        except Failed as failed:
            if failed.error is not None and failed.error.source == "_delete_assoc":
                ask.said.errors.append(failed.error)
                raise Failed(
                    Error("remove associations failed", failed.error.number, "_delete_assoc", failed.error.text)
                ) from failed
            raise
        if not is_changed:
            raise NotModified
        cluster = self._service.site.cluster_name
        return Reply({"removed_associations": [book_edits.removed_place(cluster, one) for one in gone]})

    async def delete_cluster(self, ask: Ask) -> Reply:
        failure, source = "slurmdb_clusters_remove failed", "_delete_cluster"
        writing = await self._writing(ask)
        if not writing.asker.is_operator:
            raise Failed(Error(failure, book_edits.DENIED, source))
        own = self._service.site.cluster_name
        if ask.parameters["cluster_name"].lower() != own.lower():
            raise NotModified
        raise Failed(Error(failure, -1, source, f"the bridge is one cluster, {own}, which cannot be deleted"))

    # ── both ──────────────────────────────────────────────────────────────────────────────────────

    async def _writing(self, ask: Ask) -> Writing:
        asker = sacctmgr_texts.asker_of(
            ask.caller,
            await self._service.accounting.book(),
            await self._looks.facts(),
            lambda name: True,  # nobody is asked whether a user whom the host does not know is meant
            await self._service.store.unfinished(),
        )
        return Writing(asker, ask.version, ask.said)

    async def _edit(self, change: Callable[[Book], Book | None]) -> bool:
        """False: nothing was to be changed."""
        done: list[bool] = []

        def at_the_writer(book: Book) -> Book | None:
            changed = change(book)
            done.append(changed is not None)
            return changed

        await self._service.accounting.edit(at_the_writer)
        return done[-1]


_IN_ORDER: Mapping[str, _Put] = {
    "accounts": book_edits.accounts_,
    "users": book_edits.users,
    "qos": book_edits.qos,
    "associations": book_edits.associations,
}
