"""scancel at the server: ids and filters to jobs, then cancel or signal them, one answer for each that refused."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.slurm import clusters, jobfacts, scancel, selectors
from adapters.slurm.answer import Answer
from adapters.slurm.selectors import Selected
from bridge.backends.port import Target
from bridge.core.errors import NotFound
from bridge.core.indexset import IndexSet
from bridge.core.job import WAITING, Job, JobKey
from bridge.core.users import Caller
from bridge.service.terms import Result, Selector
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply, selector
from bridge.store.records import JobQuery


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing to act on, with the name that it is spoken of by."""

    shown: str
    selector: Selector
    job: Job | None = None
    """Known when filters or a question made us look."""


async def run(world: World, caller: Caller, call: Call) -> Reply:
    order = scancel.read(call.argv, call.environ, caller.user.uid, world.uid_of)
    if isinstance(order, Answer):
        return reply(order)
    cluster = clusters.choose("scancel", order.clusters, world.service.site.cluster_name)
    if isinstance(cluster, Answer):
        return reply(cluster)
    warned = cluster.warnings if cluster is not None else ""
    done = await _carry_out(world, caller, call, order)
    return replace(done, stderr=warned + done.stderr)


async def _carry_out(world: World, caller: Caller, call: Call, order: scancel.Order) -> Reply:
    steps = [one for one in order.ids if one.step is not None]
    if steps:
        jobs = replace(order, ids=tuple(one for one in order.ids if one.step is None))
        done = await _steps(world, caller, order, steps)
        rest = await _carry_out(world, caller, call, jobs) if jobs.ids else Reply()
        return replace(rest, stderr=done.stderr + rest.stderr, exit_code=rest.exit_code or done.exit_code)
    said, exit_code = "", 0
    if order.filters or order.interactive:
        items = await _filtered(world, caller, order)
        for one in order.ids if not items else ():
            failed = await _not_active(world, caller, order, one)
            said, exit_code = said + failed.stderr, failed.exit_code or exit_code
        if not items and order.filters and order.verbose:
            said += scancel.nothing_matched(order)
    else:
        items = [_Item(str(one), selector(one)) for one in order.ids]
    if order.interactive:
        answers = [*_answers(call), *([call.answer] if "asked" in call.state else [])]
        if len(answers) < len(items) and not (answers and answers[-1] is None):
            job = items[len(answers)].job
            assert job is not None
            question = scancel.question(job, items[len(answers)].shown)
            return Reply(question=question, state={"answers": answers, "asked": True})
        items = [item for item, told in zip(items, answers, strict=False) if told and told.strip().lower() == "y"]
    done = await _act(world, caller, order, items)
    return replace(done, stderr=said + done.stderr, exit_code=done.exit_code or exit_code)


async def _not_active(world: World, caller: Caller, order: scancel.Order, one: Selected) -> Answer:
    """A job that is unknown or over is told, also where filters leave it out."""
    try:
        found = await world.service.show(caller, selector(one))
    except NotFound:
        found = []
    if any(not job.is_final for job in found):
        return Answer()
    text = f"scancel: error: Kill job error on job id {one}: Invalid job id specified\n"
    return Answer(stderr="" if order.quiet else text, exit_code=1)


def _answers(call: Call) -> list[str | None]:
    answers = call.state.get("answers")
    return [one if isinstance(one, str) else None for one in answers] if isinstance(answers, list) else []


async def _filtered(world: World, caller: Caller, order: scancel.Order) -> list[_Item]:
    keys = tuple(JobKey(one.id) for one in order.ids) or None
    uids = None if order.uid is None else (order.uid,)
    jobs = await world.service.jobs(caller, JobQuery(keys=keys, uids=uids, ended_since=world.now()))
    items = []
    for job in jobs:
        if not scancel.matches(order, job):
            continue
        left: IndexSet | bool = job.waiting or True
        if order.ids:
            chosen = [one for one in order.ids if one.id in (job.id, job.array_id)]
            left = selectors.narrow(job.waiting or IndexSet(), job.task_index, chosen)
        if not left:
            continue
        if job.waiting:
            tasks = left if isinstance(left, IndexSet) else job.waiting
            items.append(_Item(str(Selected(job.id, tasks)), Selector(job.id, tasks), job))
        elif job.task_index is not None:
            one_task = IndexSet(((job.task_index, job.task_index, 1),))
            items.append(_Item(jobfacts.display_id(job), Selector(jobfacts.base_id(job), one_task), job))
        else:
            items.append(_Item(str(job.id), Selector(job.id), job))
    return items


async def _act(world: World, caller: Caller, order: scancel.Order, items: Sequence[_Item]) -> Reply:
    said: list[str] = []
    exit_code = 0
    for item in items:
        if order.verbose:
            said.append(scancel.announcement(order, item.shown))
    if order.ends_jobs:
        results = await world.service.cancel(caller, [item.selector for item in items])
    else:
        to: Target = "batch" if order.batch else "all" if order.full else "steps"
        number = order.signal_number if order.signal_number is not None else signal.SIGKILL
        results = await world.service.signal(caller, [item.selector for item in items], number, to)
        if number == signal.SIGKILL:  # which ends what waits, whoever of the job was to get it
            waiting = [one.selector for one in results if one.job is not None and one.job.state in WAITING]
            results = [one for one in results if one.selector not in waiting]
            results += await world.service.cancel(caller, waiting)
    for item in items:
        mine = [result for result in results if result.selector == item.selector]
        for code, sentence in _failures(mine):
            failed = scancel.failure(order, item.shown, code, sentence)
            said.append(failed.stderr)
            exit_code = failed.exit_code or exit_code
    return Reply(stderr="".join(said), exit_code=exit_code)


def _failures(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Each kind once. Tasks that are over do not count where others of the array were reached."""
    reached = any(result.error is None for result in results)
    kinds: dict[str, str] = {}
    for result in results:
        if result.error is None:
            continue
        if reached and result.error.code in ("already_done", "already_finished"):
            continue
        kinds.setdefault(result.error.code, result.error.sentence)
    return list(kinds.items())


async def _steps(world: World, caller: Caller, order: scancel.Order, chosen: Sequence[Selected]) -> Reply:
    """`12.0`: the step's processes alone get the signal, KILL where none is named."""
    said: list[str] = []
    exit_code = 0
    for one in chosen:
        if order.verbose:
            said.append(scancel.step_announcement(order, one))
        failed = await _signal_step(world, caller, order, one)
        if failed is not None:
            said.append(failed.stderr)
            exit_code = failed.exit_code
    return Reply(stderr="".join(said), exit_code=exit_code)


async def _signal_step(world: World, caller: Caller, order: scancel.Order, one: Selected) -> Answer | None:
    try:
        job = (await world.service.show(caller, selector(one)))[0]
    except NotFound:
        return scancel.step_failure(f"{one}.{one.step}", "invalid_job_id", 1)
    if job.is_final:
        return scancel.step_failure(f"{one}.{one.step}", "invalid_job_id", 1)
    if not caller.is_operator and caller.user.uid != job.request.uid:
        return scancel.step_failure(str(one), "access_denied")
    rows = await world.service.steps(caller, [job.key])
    running = {str(row.step_id) for row in rows if row.attempt == job.attempt and row.ended_at is None}
    if one.step not in running:
        return scancel.step_failure(str(one), "invalid_job_id")
    number = order.signal_number if order.signal_number is not None else int(signal.SIGKILL)
    results = await world.service.signal(caller, [selector(one)], number, f"step:{one.step}")
    codes = [result.error.code for result in results if result.error is not None]
    return scancel.step_failure(str(one), codes[0]) if codes else None
