"""scontrol at the server: shows, changes and orders."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.slurm import (
    array_answers,
    clusters,
    durations,
    errors,
    hostlist,
    jobfacts,
    scontrol,
    scontrol_config,
    scontrol_settings,
    scontrol_show,
    scontrol_update,
    selectors,
    squeue,
    steps_data,
)
from adapters.slurm.answer import Answer
from adapters.slurm.data import document
from adapters.slurm.rest import cluster as cluster_data
from adapters.slurm.rest import nodes as nodes_data
from adapters.slurm.rest.shapes import Record
from adapters.slurm.scontrol_show import joined
from adapters.slurm.selectors import Selected
from bridge.core import indexset
from bridge.core.change import Change
from bridge.core.errors import BridgeError, NotFound, NotPermitted
from bridge.core.indexset import IndexSet
from bridge.core.job import ON_NODES, WAITING, Job, JobState
from bridge.core.users import Caller
from bridge.service.terms import Result, Selector
from bridge.slurmcli import scontrol_site
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply, selector
from bridge.store.records import JobQuery

_UNKNOWN_ID = Reply(stderr="slurm_load_jobs error: Invalid job id specified\n", exit_code=1)
DEFAULT_TOKEN_SECONDS = 1800


async def run(world: World, caller: Caller, call: Call) -> Reply:
    named = scontrol.clusters_named(call.argv, call.environ)
    cluster = clusters.choose("scontrol", named, world.service.site.cluster_name)
    if isinstance(cluster, Answer):
        return reply(cluster)
    done = await _carry_out(world, caller, call)
    return done if cluster is None else replace(done, stderr=cluster.warnings + done.stderr)


async def _carry_out(world: World, caller: Caller, call: Call) -> Reply:
    of_site = await scontrol_site.run(world, caller, call)
    if of_site is not None:
        return of_site
    order = scontrol.read(call.argv, call.environ)
    done = await _obey(world, caller, call, order)
    quiet = scontrol.is_quiet(call.argv) and not isinstance(order, Answer)
    return replace(done, stderr="") if quiet else done


async def _obey(world: World, caller: Caller, call: Call, order: scontrol.Order | Answer) -> Reply:
    match order:
        case scontrol.Converse():
            return await _converse(world, caller, call)
        case Answer():
            return reply(order)
        case scontrol.Show():
            return await _show(world, caller, call, order)
        case scontrol.Act():
            return await _act(world, caller, order)
        case scontrol_update.Update():
            return await _update(world, caller, call, order)
        case scontrol.WriteScript():
            return await _write_script(world, caller, order)
        case scontrol.Token():
            return await _token(world, caller, order)
        case scontrol.Ping():
            return _ping_reply(world, caller, order)
        case scontrol.Reconfigure():
            return await _reconfigure(world, caller)
        case scontrol.FoldNames():
            return _fold_names(call, order)
        case scontrol.WaitJob():
            return await _wait_job(world, caller, order)
        case scontrol.Completing():
            return await _completing(world, caller, call)
        case scontrol.Notify():
            return await _notify(world, caller, order)


# ── show ──────────────────────────────────────────────────────────────────────────────────────────


async def _show(world: World, caller: Caller, call: Call, order: scontrol.Show) -> Reply:
    match order.entity:
        case "job":
            return await _show_jobs(world, caller, call, order)
        case "step":
            return await _show_steps(world, caller, call, order)
        case "node":
            return await _show_nodes(world, caller, call, order)
        case "partition":
            return await _show_partitions(world, caller, order)
        case "aliases":
            names = [node.name for node in await world.service.nodes.known()]
            return Reply("" if order.name is not None else " ".join(names) + "\n")
        case "reservation":
            if order.data is None:
                return await scontrol_site.show(world, call, order.name, one_line=order.one_line)
            return await _show_reservations(world, caller, order)
        case "licenses":
            rows = await world.service.nodes.licenses()
            records = [
                scontrol_show.license_lines(name, total, used)
                for name, total, used in rows
                if order.name in (None, name)
            ]
            if order.data is not None:
                fields = {"licenses": [nodes_data.license_(*row) for row in rows if order.name in (None, row[0])]}
                return _data(world, caller, order, nodes_data.LICENSES_ANSWER, fields)
            if order.name is not None and not records:
                return Reply()
            text = "".join(joined(lines, one_line=order.one_line).rstrip("\n") + "\n" for lines in records)
            return Reply(text or "No licenses configured in Slurm.\n")
    nodes = await world.service.nodes.known()
    text = scontrol_config.text(world.service.site, nodes, world.here, world.clock(call))
    return Reply(text + _ping(world))


def _ping_reply(world: World, caller: Caller, order: scontrol.Ping) -> Reply:
    if order.data is None:
        return Reply(_ping(world, by_cluster=order.by_cluster))
    fields = {"pings": [cluster_data.ping(world.here.host, 0, is_up=True)]}
    text = document(order.data, cluster_data.PING_ANSWER, fields, world.asked(caller, ()))
    return Reply(text.removesuffix("\n") if order.data.form == "json" else text)


def _data(world: World, caller: Caller, order: scontrol.Show, shape: Record, fields: Mapping[str, Any]) -> Reply:
    assert order.data is not None
    moments = {"last_update": int(world.now())}
    return Reply(document(order.data, shape, {**moments, **fields}, world.asked(caller, order.words)))


async def _show_reservations(world: World, caller: Caller, order: scontrol.Show) -> Reply:
    nodes = await world.service.nodes.known()
    kept = [one for one in await world.service.runtime.reservations() if order.name in (None, "", one.name)]
    fields = {"reservations": [nodes_data.reservation(one, nodes) for one in kept]}
    return _data(world, caller, order, nodes_data.RESERVATIONS_ANSWER, fields)


def _ping(world: World, *, by_cluster: bool = False) -> str:
    where = world.service.site.cluster_name if by_cluster else world.here.host
    return f"Slurmctld(primary) at {where} is UP\n"


async def _show_jobs(world: World, caller: Caller, call: Call, order: scontrol.Show) -> Reply:
    if order.name is None:
        oldest = world.now() - world.service.site.min_job_age_seconds
        found = await world.service.jobs(caller, JobQuery(ended_since=oldest))
        if not found and order.data is None:
            return Reply("No jobs in the system\n")
    else:
        # One id and no more: scontrol reads a number and a task, no list.
        selected = None if "[" in order.name else selectors.parse(order.name)
        if selected is None:
            return Reply(stderr="scontrol_print_job error: Invalid job id specified\n", exit_code=1)
        some = await _find(world, caller, selected)
        if order.data is not None:
            found = some or []
        elif some is None:
            return _UNKNOWN_ID
        elif not some:
            return Reply(f"Job {order.name} not found\n", exit_code=1)
        else:
            found = sorted(some, key=_place_in_array)
    view = await world.view(call, starts=any(job.state in WAITING for job in found))
    if order.data is not None:
        asked = world.asked(caller, order.words)
        return reply(await asyncio.to_thread(squeue.render_data, order.data, found, view, asked, warns=False))
    records = (scontrol_show.job(job, view, details=order.details) for job in found)
    return Reply("".join(joined(lines, one_line=order.one_line) for lines in records))


def _place_in_array(job: Job) -> tuple[bool, int]:
    """As slurmctld lists an array: first who has the array's own id, then who was split off last."""
    raw_id = jobfacts.raw_id(job)
    return raw_id != jobfacts.base_id(job), -raw_id


async def _find(world: World, caller: Caller, selected: Selected) -> list[Job] | None:
    """None: no such job at all; empty: the array has no such task."""
    try:
        return await world.service.show(caller, selector(selected))
    except NotFound:
        pass
    if selected.tasks is None:
        return None
    try:
        await world.service.show(caller, Selector(selected.id))
    except NotFound:
        return None
    return []


async def _show_steps(world: World, caller: Caller, call: Call, order: scontrol.Show) -> Reply:
    selected = None if order.name is None else selectors.parse(order.name)
    if order.name is not None and selected is None:
        return Reply(stderr="slurm_get_job_steps error: Invalid job id specified\n", exit_code=1)
    if selected is None:
        jobs = await world.service.jobs(caller, JobQuery(states=frozenset({JobState.RUNNING, JobState.SUSPENDED})))
    else:
        jobs = await _find(world, caller, selected) or []
    running = [job for job in jobs if job.state in (JobState.RUNNING, JobState.SUSPENDED)]
    if selected is not None and not running and order.data is None:
        failed = f"scontrol_print_step: slurm_get_job_steps({order.name}) failed"
        return Reply(stderr=f"scontrol: error: {failed}: Invalid job id specified\n", exit_code=1)
    rows = await world.service.steps(caller, [job.key for job in running])
    view = await world.view(call)
    steps = [
        step
        for step in steps_data.running(running, rows, view)
        if selected is None or selected.step in (None, step.name)
    ]
    if order.data is not None:
        return Reply(steps_data.text(order.data, steps, world.asked(caller, order.words)))
    texts = [joined(scontrol_show.step(step.job, step.row, view), one_line=order.one_line) for step in steps]
    if not texts and selected is not None:
        return Reply(f"Job step {order.name} not found\n", exit_code=1)
    return Reply("".join(texts) or "No job steps in the system\n")


async def _show_nodes(world: World, caller: Caller, call: Call, order: scontrol.Show) -> Reply:
    uses = {use.node.name: use for use in await world.node_uses(caller)}
    try:
        names = list(uses) if order.name is None or order.name.upper() == "ALL" else hostlist.expand(order.name)
    except ValueError:
        return Reply(stderr=f"Invalid hostlist: {order.name}\n", exit_code=1)
    if order.data is not None:
        fields = {"nodes": [nodes_data.node(uses[name], world.service.site) for name in names if name in uses]}
        return _data(world, caller, order, nodes_data.NODES_ANSWER, fields)
    view = await world.view(call)
    out: list[str] = []
    for name in names:
        if name not in uses:
            return Reply("".join(out) + f"Node {name} not found\n", exit_code=1)
        text = joined(scontrol_show.node(uses[name], view, details=order.details), one_line=order.one_line)
        out.append(text)
    return Reply("".join(out))


async def _show_partitions(world: World, caller: Caller, order: scontrol.Show) -> Reply:
    site = world.service.site
    nodes = await world.service.nodes.known()
    chosen = [p for p in site.partitions if order.name is None or p.name == order.name]
    if order.data is not None:
        fields = {"partitions": [nodes_data.partition(one, nodes, site) for one in chosen]}
        return _data(world, caller, order, nodes_data.PARTITIONS_ANSWER, fields)
    if not chosen:
        return Reply(f"Partition {order.name} not found\n", exit_code=1)
    return Reply("".join(joined(scontrol_show.partition(p, nodes, site), one_line=order.one_line) for p in chosen))


async def _completing(world: World, caller: Caller, call: Call) -> Reply:
    clock = world.clock(call)
    jobs = await world.service.jobs(caller, JobQuery(states=frozenset({JobState.COMPLETING})))
    lines = []
    for job in jobs:
        since = job.stop.at if job.stop is not None else clock.now
        nodes = hostlist.compress([share.node for share in job.nodes])
        took = durations.long(max(0.0, clock.now - since))
        lines.append(
            f"JobId={jobfacts.raw_id(job)} EndTime={clock.stamp(since)} CompletingTime={took} "
            f"Nodes(COMPLETING)={nodes} \n"
        )
    return Reply("".join(lines))


# ── orders to jobs ────────────────────────────────────────────────────────────────────────────────

_SAYS_IT_TWICE = frozenset({"hold", "uhold", "release"})
"""Verbs after whose failures scontrol adds a line of its own."""


async def _act(world: World, caller: Caller, order: scontrol.Act) -> Reply:
    do = _doer(world, caller, order)
    targets = list(order.targets)
    for name in order.job_names:
        query = JobQuery(names=(name,), ended_since=world.now() - world.service.site.min_job_age_seconds)
        jobs = await world.service.jobs(caller, query)
        targets += [(job.display_id, selectors.parse(job.display_id)) for job in jobs]
    said: list[str] = []
    for word, selected in targets:
        if selected is None:
            results = [Result(Selector(0), None, NotFound("no id", code="invalid_job_id"))]
        else:
            results = await do(selector(selected))
        said += _said(caller, order.verb, word, selected, results)
    return Reply(stderr="".join(said), exit_code=1 if said else 0)


def _said(
    caller: Caller, verb: str, word: str, selected: Selected | None, results: Sequence[Result], *, of_all: bool = True
) -> list[str]:
    """Slurm's words for what failed: of tasks of an array by fate, otherwise by id."""
    if selected is not None and _tells_by_tasks(verb, selected, results):
        seen = [result for result in results if result.job is not None]
        if selected.tasks is None:
            seen = [result for result in seen if not _is_forgotten(result)]
        fates = [_fate(caller, verb, result) for result in seen]
        return array_answers.lines(selected.id, [*fates, *_unknown_tasks(selected, results)], tells_success=of_all)
    said: list[str] = []
    for text in _texts(caller, verb, results):
        said.append(f"{text} for job {word}\n")
        if verb in _SAYS_IT_TWICE:
            said.append(f"slurm_suspend error:{text}\n")
    return said


def _tells_by_tasks(verb: str, selected: Selected, results: Sequence[Result]) -> bool:
    if verb in ("suspend", "resume") and all(isinstance(result.error, NotPermitted) for result in results):
        return False  # refused before it is looked at
    if selected.tasks is not None:
        return True
    return any(result.job is not None and _is_of_array(result.job, selected.id) for result in results)


def _is_of_array(job: Job, array_id: int) -> bool:
    return job.request.array is not None and job.key.id == array_id


def _is_forgotten(result: Result) -> bool:
    """Slurm keeps no record of a task that was cancelled while it waited with its array."""
    job = result.job
    return (
        result.error is not None and job is not None and job.is_final and job.task_index is not None and not job.attempt
    )


def _fate(caller: Caller, verb: str, result: Result) -> array_answers.Fate:
    assert result.job is not None
    index = result.job.task_index
    tasks = (result.job.waiting or IndexSet()) if index is None else indexset.of([index])
    if _is_forgotten(result):
        return tasks, errors.text_of("invalid_job_id", "")
    return tasks, None if result.error is None else text_for(caller, verb, result)


def _unknown_tasks(selected: Selected, results: Sequence[Result]) -> list[array_answers.Fate]:
    if selected.tasks is None:
        return []
    array = next((result.job.request.array for result in results if result.job is not None), None)
    unknown = selected.tasks if array is None else selected.tasks.without(array.indices)
    return [(unknown, errors.text_of("invalid_job_id", ""))]


def _doer(world: World, caller: Caller, order: scontrol.Act) -> Callable[[Selector], Awaitable[list[Result]]]:
    service = world.service
    match order.verb:
        case "hold":
            return lambda one: service.hold(caller, [one])
        case "uhold":
            return lambda one: service.hold(caller, [one], by_admin=False)
        case "release":
            return lambda one: service.release(caller, [one])
        case "suspend":
            return lambda one: service.suspend(caller, [one])
        case "resume":
            return lambda one: service.resume(caller, [one])
        case "top":
            return lambda one: service.top(caller, one)
        case "requeue":
            return lambda one: service.requeue(caller, [one], special_exit=order.special_exit)
        case "requeuehold":
            return lambda one: service.requeue(caller, [one], hold=True, special_exit=order.special_exit)
    raise AssertionError(order.verb)  # scontrol.read knows no other


def _texts(caller: Caller, verb: str, results: Sequence[Result]) -> list[str]:
    """Slurm's words for what failed, each once."""
    return list(dict.fromkeys(text_for(caller, verb, result) for result in results if result.error is not None))


_BY_UPDATE = frozenset({"update", "hold", "uhold", "release"})
"""What slurmctld takes as updates of a job: of another's they are refused in other words than orders are."""


def text_for(caller: Caller, verb: str, result: Result) -> str:
    error, job = result.error, result.job
    assert error is not None
    foreign = job is not None and job.request.uid != caller.user.uid and not caller.is_operator
    if verb in _BY_UPDATE and isinstance(error, NotPermitted) and foreign:
        return errors.text_of("invalid_user_id", error.sentence)
    if verb == "resume" and error.code == "job_pending" and job is not None and job.state not in WAITING:
        return "Job is not suspended"
    return errors.text_of(error.code, error.sentence)


# ── update ────────────────────────────────────────────────────────────────────────────────────────


async def _update(world: World, caller: Caller, call: Call, update: scontrol_update.Update) -> Reply:
    if update.nodes is not None:
        return await _update_nodes(world, caller, update.nodes)
    targets = list(update.targets)
    if update.job_name is not None:
        jobs = await world.service.jobs(caller, JobQuery(names=(update.job_name,), ended_since=world.now()))
        targets = [(job.display_id, selectors.parse(job.display_id)) for job in jobs]
        if not targets:
            return Reply(stderr=f"scontrol: error: No jobs with name '{update.job_name}'\n", exit_code=1)
    said: list[str] = []
    for word, selected in targets:
        said += await _update_one(world, caller, call, update, word, selected)
    return Reply(stderr="".join(said), exit_code=1 if said else 0)


async def _update_one(
    world: World, caller: Caller, call: Call, update: scontrol_update.Update, word: str, selected: Selected | None
) -> list[str]:
    if selected is None or word.endswith("_"):
        return [f"{errors.text_of('invalid_job_id', '')} for job {word}\n"]
    try:
        jobs = await world.service.show(caller, selector(selected))
        if scontrol_update.is_denied(update, jobs[0], caller):
            denied = NotPermitted("an operator sets this", code="access_denied")
            results = [Result(selector(selected), job, denied) for job in jobs]
            return _said(caller, "update", word, selected, results)
        results = []
        for one, change in _changes(update, selected, jobs, world.clock(call)):
            if change.array_throttle is not None:  # as in Slurm it is set even where the rest is refused
                results += await world.service.update(caller, [one], Change(array_throttle=change.array_throttle))
                change = replace(change, array_throttle=None)
            if not change.is_empty():
                results += await world.service.update(caller, [one], change)
        return _said(caller, "update", word, selected, results, of_all=False)
    except scontrol_settings.BadSetting as bad:
        return [str(bad).replace("{}", word)]
    except BridgeError as error:
        return _said(caller, "update", word, selected, [Result(selector(selected), None, error)])


def _changes(
    update: scontrol_update.Update, selected: Selected, jobs: Sequence[Job], clock: durations.Clock
) -> list[tuple[Selector, Change]]:
    """One change for all, or one for each record where a setting is relative to what the job asks for now."""
    whole = selected.tasks is None
    changes = [scontrol_settings.change_for(update.settings, job, clock, whole=whole) for job in jobs]
    if all(change == changes[0] for change in changes):
        return [(selector(selected), changes[0])]
    pairs = []
    for job, change in zip(jobs, changes, strict=True):
        tasks = job.waiting if job.task_index is None else IndexSet(((job.task_index, job.task_index, 1),))
        pairs.append((Selector(jobfacts.base_id(job), tasks), change))
    return pairs


async def _update_nodes(world: World, caller: Caller, update: scontrol_update.NodeUpdate) -> Reply:
    if not caller.is_operator:
        return Reply(stderr=f"slurm_update error: {errors.text_of('invalid_user_id', '')}\n", exit_code=1)
    names = update.names or tuple(node.name for node in await world.service.nodes.known())
    try:
        await world.service.nodes.mark(caller, names, update.order, update.reason)
    except BridgeError as error:
        return Reply(stderr=f"slurm_update error: {errors.text_of(error.code, error.sentence)}\n", exit_code=1)
    return Reply()


# ── a conversation ────────────────────────────────────────────────────────────────────────────────

_PROMPT = "scontrol: "


async def _converse(world: World, caller: Caller, call: Call) -> Reply:
    """Commands from standard input until `exit`, `quit` or its end."""
    if not call.state.get("asked"):
        return Reply(question=_PROMPT, state={"asked": True})
    words = scontrol.words_of_line(call.answer) if call.answer is not None else ["exit"]
    if words and words[0].lower() in ("exit", "quit"):
        return Reply()
    done = Reply()
    if words:
        done = await _carry_out(world, caller, replace(call, argv=tuple(words), state={}, answer=None))
    return replace(done, question=_PROMPT, state={"asked": True}, exit_code=0, again_in_seconds=None)


# ── the rest ──────────────────────────────────────────────────────────────────────────────────────


async def _reconfigure(world: World, caller: Caller) -> Reply:
    if not caller.is_operator:
        return Reply(stderr=f"slurm_reconfigure error:{errors.text_of('invalid_user_id', '')}\n", exit_code=1)
    try:
        await world.reconfigure()
    except BridgeError as error:
        return Reply(stderr=f"slurm_reconfigure error:{error.sentence}\n", exit_code=1)
    return Reply()


def _fold_names(call: Call, order: scontrol.FoldNames) -> Reply:
    need = "stdin" if order.path == "-" else f"file: {order.path}"
    content = call.files.get(need)
    if content is None:
        return Reply(needs=(need,))
    if isinstance(content, str):
        return Reply(stderr=f"scontrol: error: Unable to open {order.path}: {content}\n", exit_code=1)
    names = ",".join(content.decode("utf-8", "surrogateescape").split())
    return reply(scontrol.fold_names(names, in_order=order.in_order))


async def _write_script(world: World, caller: Caller, order: scontrol.WriteScript) -> Reply:
    try:
        if order.job is None:
            raise NotFound("no id", code="invalid_job_id")
        script = await world.service.script(caller, selector(order.job))
    except BridgeError as error:
        text = errors.text_of(error.code, error.sentence)
        return Reply(stderr=f"job script retrieval failed: {text}\n")
    if order.path == "-":
        return Reply(script.decode("utf-8", "surrogateescape"))
    path = order.path or f"slurm-{order.text}.sh"
    return Reply(f"batch script for job {order.text} written to {path}\n", written=((path, script),))


async def _token(world: World, caller: Caller, order: scontrol.Token) -> Reply:
    if caller.job_id is not None:  # a token made from a job's would outlive the job
        return Reply(stderr=f"scontrol: error: {errors.text_of('access_denied', '')}\n", exit_code=1)
    user = caller.user
    if order.username is not None and order.username != user.name:
        found = world.find_user(order.username) if user.uid == 0 else None
        if found is None:
            text = errors.text_of("invalid_user_id" if user.uid == 0 else "access_denied", "")
            return Reply(stderr=f"scontrol: error: {text}: username={order.username}\n", exit_code=1)
        user = found
    try:
        made = world.make_token(
            user, DEFAULT_TOKEN_SECONDS if order.lifespan_seconds is None else order.lifespan_seconds
        )
        token = await made if inspect.isawaitable(made) else made
    except BridgeError as error:
        return Reply(stderr=f"scontrol: error: {error.sentence}\n", exit_code=1)
    return Reply(f"SLURM_JWT={token}\n")


async def _notify(world: World, caller: Caller, order: scontrol.Notify) -> Reply:
    """Nothing but its own program writes into a job's output here."""
    found = None if order.job is None else await _find(world, caller, order.job)
    code = "disabled" if found else "invalid_job_id"
    return Reply(stderr=f"job notify failure: {errors.text_of(code, '')}\n", exit_code=1)


async def _wait_job(world: World, caller: Caller, order: scontrol.WaitJob) -> Reply:
    jobs = None if order.job is None else await _find(world, caller, order.job)
    if not jobs:
        return Reply(stderr=f"scontrol: Problem running job {order.text}\n", exit_code=1)
    if any(job.state in WAITING or job.state is JobState.CONFIGURING for job in jobs):
        return Reply(again_in_seconds=1.0, state={})
    if any(job.state in ON_NODES for job in jobs):
        return Reply()
    return Reply(stderr=f"scontrol: Job {order.text} no longer running\n", exit_code=1)
