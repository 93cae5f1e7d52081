"""sinfo at the server."""

from adapters.slurm import clusters, scontrol_site, sinfo, sinfo_data
from adapters.slurm.answer import Answer
from bridge.core.users import Caller
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply


async def run(world: World, caller: Caller, call: Call) -> Reply:
    query = sinfo.read(call.argv, call.environ)
    if isinstance(query, Answer):
        return reply(query)
    cluster = clusters.choose("sinfo", query.clusters, world.service.site.cluster_name)
    if isinstance(cluster, Answer):
        return reply(cluster)
    clock = world.clock(call)
    if query.reservations:
        kept = await world.service.runtime.reservations()
        return Reply(scontrol_site.table(kept, clock, header=query.header))
    uses = await world.node_uses(caller)
    if query.data is not None:
        text = sinfo_data.text(query, world.service.site, uses, world.asked(caller, ("sinfo",)))
        return reply(world.under_cluster(Answer(text), cluster, header=query.header))
    answer = sinfo.render(query, world.service.site, uses, clock)
    answer = world.under_cluster(answer, cluster, header=query.header)
    if query.iterate_seconds is None:
        return reply(answer)
    date = clock.banner() + "\n" if query.header and not query.dated else ""
    return Reply(date + answer.stdout + "\n", answer.stderr, 0, again_in_seconds=float(query.iterate_seconds), state={})
