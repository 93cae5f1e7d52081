"""sacct at the server: what the state database remembers."""

import asyncio

from adapters.slurm import jobfacts, sacct, sizes
from adapters.slurm.answer import Answer
from adapters.slurm.data import document
from adapters.slurm.rest import accounts, history
from bridge.core.accounting import Book
from bridge.core.errors import BridgeError
from bridge.core.indexset import IndexSet
from bridge.core.job import Job, JobKey
from bridge.core.users import Caller
from bridge.identity.people import group_name, is_group
from bridge.service.terms import Selector
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply
from bridge.store.records import JobQuery, StepRow


async def run(world: World, caller: Caller, call: Call) -> Reply:
    query = sacct.read(call.argv, call.environ, world.clock(call), caller.user.uid, world.uid_of)
    if isinstance(query, Answer):
        return reply(query)
    if query.clusters is not None and not {world.service.site.cluster_name, "all"} & set(query.clusters):
        if query.data is not None:
            return await _data(world, caller, call, query, [], [])
        return reply(sacct.render(query, [], await world.view(call)))
    book = await world.service.accounting.book()
    unknown = await _unknown(query, book)
    if unknown is not None:
        return reply(unknown)
    found = await world.service.jobs(
        caller,
        JobQuery(
            keys=None if query.jobs is None else tuple(JobKey(one.id) for one in query.jobs),
            uids=query.uids,
            names=query.names,
            accounts=query.accounts,
            qos=query.qos,
            nodes=query.nodes,
            active_since=query.since or None,
            active_until=query.until,
        ),
    )
    jobs = [left for job in found if (left := sacct.narrowed(query, job, group_name, book)) is not None]
    if query.wants_scripts:
        return await _scripts(world, caller, jobs)
    steps: list[StepRow] = []
    if not query.allocations_only:
        steps = await world.service.steps(caller, [job.key for job in jobs if job.nodes])
    if query.data is not None:
        return await _data(world, caller, call, query, jobs, steps)
    return reply(sacct.render(query, sacct.rows_of(query, jobs, steps), await world.view(call), book))


async def _unknown(query: sacct.Query, book: Book) -> Answer | None:
    """What the filters name that is not there."""
    for name in query.qos or ():
        if name not in book.qos:
            known = ",".join(sorted(book.qos, key=lambda one: book.qos[one].id))
            said = f"sacct: error: You gave a bad qos '{name}'. Valid QOS's are {known}\n"
            return Answer(stderr=said + "sacct: fatal: problem processing qos list\n", exit_code=1)
    for name in query.groups or ():
        if not await asyncio.to_thread(is_group, name):
            return Answer(stderr=f"sacct: error: Invalid group id: {name}\n", exit_code=1)
    return None


async def _data(
    world: World, caller: Caller, call: Call, query: sacct.Query, jobs: list[Job], steps: list[StepRow]
) -> Reply:
    """--json and --yaml; -X leaves the steps out."""
    assert query.data is not None
    resources = accounts.Resources(sizes.of_cluster(await world.service.nodes.known()))
    look = history.Look(await world.view(call), resources, world.user_name)
    by_key: dict[JobKey, list[StepRow]] = {}
    for step in steps:
        by_key.setdefault(step.key, []).append(step)
    told = [history.job(job, by_key.get(job.key, []), "", look, query.data.version) for job in jobs]
    if query.allocations_only:
        told = [{**one, "steps": []} for one in told]
    asked = world.asked(caller, ("sacct",))
    return Reply(await asyncio.to_thread(document, query.data, history.ANSWER, {"jobs": told}, asked))


async def _scripts(world: World, caller: Caller, jobs: list[Job]) -> Reply:
    out: list[str] = []
    err: list[str] = []
    for job in jobs:
        tasks = None if job.task_index is None else IndexSet(((job.task_index, job.task_index, 1),))
        try:
            script = await world.service.script(caller, Selector(jobfacts.base_id(job), tasks))
        except BridgeError as error:
            err.append(f"sacct: error: job {job.display_id}: {error.sentence}\n")
            continue
        text = script.decode("utf-8", "surrogateescape")
        out.append(f"Batch Script for {job.display_id}\n{'-' * 80}\n{text}")
    return Reply("".join(out), "".join(err), 1 if err and not out else 0)
