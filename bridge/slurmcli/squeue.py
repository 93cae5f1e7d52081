"""squeue at the server: the query goes to the service, the rows to the translator."""

import asyncio

from adapters.slurm import clusters, squeue, squeue_steps, steps_data
from adapters.slurm.answer import Answer
from bridge.core.errors import NotFound
from bridge.core.job import Job, JobKey
from bridge.core.users import Caller
from bridge.service.terms import Selector
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply
from bridge.store.records import JobQuery

_UNKNOWN_ID = Answer(stderr="slurm_load_jobs error: Invalid job id specified\n", exit_code=1)


async def run(world: World, caller: Caller, call: Call) -> Reply:
    known = {node.name for node in await world.service.nodes.known()}
    asker = squeue.Asker(caller.user.uid, world.uid_of, known.__contains__)
    query = squeue.read(call.argv, call.environ, asker)
    if isinstance(query, Answer):
        return reply(query)
    cluster = clusters.choose("squeue", query.clusters, world.service.site.cluster_name)
    if isinstance(cluster, Answer):
        return reply(cluster)
    answer = world.under_cluster(await _look(world, caller, call, query), cluster, header=query.header)
    if query.iterate_seconds is None or answer.exit_code:
        return reply(answer)
    date = world.clock(call).banner() + "\n" if query.header and not query.dated else ""
    return Reply(date + answer.stdout + "\n", answer.stderr, 0, again_in_seconds=float(query.iterate_seconds), state={})


async def _look(world: World, caller: Caller, call: Call, query: squeue.Query) -> Answer:
    jobs = await _jobs(world, caller, query)
    if not jobs and query.jobs is not None and len(query.jobs) == 1 and not await _is_known(world, caller, query):
        return _UNKNOWN_ID
    view = await world.view(call, convert_units=query.convert_units, starts=squeue.shows_starts(query))
    shown = [left for job in jobs if (left := squeue.narrowed(query, job)) is not None]
    if query.data is not None and not query.steps:
        asked = world.asked(caller, ("squeue",))
        return await asyncio.to_thread(squeue.render_data, query.data, shown, view, asked)
    if query.steps:
        steps = await world.service.steps(caller, [job.key for job in shown if job.nodes])
        if query.data is not None:
            rows = steps_data.running(shown, steps, view)
            return Answer(steps_data.text(query.data, rows, world.asked(caller, ("squeue",))))
        return squeue_steps.render(
            shown,
            steps,
            view,
            only=query.step_ids,
            letters=query.letters,
            names=query.long_names,
            header=query.header,
            banner=view.clock.banner() if query.dated else "",
            warnings=query.warnings,
        )
    return squeue.render(query, shown, view)


async def _jobs(world: World, caller: Caller, query: squeue.Query) -> list[Job]:
    if query.jobs == ():
        return []
    return await world.service.jobs(
        caller,
        JobQuery(
            keys=None if query.jobs is None else tuple(JobKey(one.id) for one in query.jobs),
            states=query.states,
            uids=query.uids,
            names=query.names,
            accounts=query.accounts,
            qos=query.qos,
            nodes=query.nodes,
            ended_since=world.now() - world.service.site.min_job_age_seconds,
        ),
    )


async def _is_known(world: World, caller: Caller, query: squeue.Query) -> bool:
    """Slurm forgets a job some minutes after its end; then its id is unknown to squeue."""
    assert query.jobs is not None
    try:
        found = await world.service.show(caller, Selector(query.jobs[0].id))
    except NotFound:
        return False
    oldest = world.now() - world.service.site.min_job_age_seconds
    return any(job.ended_at is None or job.ended_at >= oldest for job in found)
