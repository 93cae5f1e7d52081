"""sprio at the server."""

from adapters.slurm import clusters, sprio
from adapters.slurm.answer import Answer
from bridge.core.job import JobState
from bridge.core.users import Caller
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply
from bridge.store.records import JobQuery


async def run(world: World, caller: Caller, call: Call) -> Reply:
    query = sprio.read(call.argv, call.environ, world.uid_of)
    if isinstance(query, Answer):
        return reply(query)
    cluster = clusters.choose("sprio", query.clusters, world.service.site.cluster_name)
    if isinstance(cluster, Answer):
        return reply(cluster)
    jobs = await world.service.jobs(caller, JobQuery(states=frozenset({JobState.PENDING})))
    shown = [job for job in jobs if sprio.matches(query, job)]
    if query.jobs and not shown:
        return reply(Answer("Unable to find jobs matching user/id(s) specified\n"))
    answer = sprio.render(query, shown)
    return reply(world.under_cluster(answer, cluster, header=query.header))
