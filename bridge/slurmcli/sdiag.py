"""sdiag at the server: the service's own counts."""

from adapters.slurm import clusters, errors, sdiag
from adapters.slurm.answer import Answer
from adapters.slurm.data import document
from adapters.slurm.rest import diagnostics
from bridge.core.cycles import Cycles
from bridge.core.users import Caller
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply
from bridge.store.records import JobQuery


async def run(world: World, caller: Caller, call: Call) -> Reply:
    query = sdiag.read(call.argv, call.environ)
    if isinstance(query, Answer):
        return reply(query)
    cluster = clusters.choose("sdiag", query.clusters, world.service.site.cluster_name)
    if isinstance(cluster, Answer):
        return reply(cluster)
    if query.reset:
        if not caller.is_operator:
            text = errors.text_of("access_denied", "")
            return Reply(stderr=f"slurm_reset_statistics: {text}\n", exit_code=255)
        world.calls.reset(world.now())
        world.service.cycles = Cycles()
        return Reply("Reset scheduling statistics\n")
    jobs = sdiag.tally(await world.service.jobs(caller, JobQuery(active_since=world.calls.since)), world.calls.since)
    cycles = world.service.cycles
    if query.data is None:
        return Reply(sdiag.text(query, jobs, world.calls, cycles, world.clock(call)))
    numbers = diagnostics.counted(jobs, cycles)
    by_type = [
        {
            "type_id": number,
            "message_type": name,
            "count": count.calls,
            "queued": 0,
            "dropped": 0,
            "cycle_last": 0,
            "cycle_max": 0,
            "total_time": count.microseconds,
            "average_time": count.mean,
        }
        for name, number, count in sdiag.ordered(query, world.calls)
    ]
    by_user = [
        diagnostics.rpc_user(uid, name, count.calls, count.microseconds)
        for (uid, name), count in world.calls.by_user.items()
    ]
    told = diagnostics.statistics(world.now(), world.calls.since, numbers, by_type, by_user)
    return Reply(document(query.data, diagnostics.ANSWER, {"statistics": told}, world.asked(caller, ("sdiag",))))
