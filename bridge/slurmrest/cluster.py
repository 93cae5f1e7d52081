"""ping, diag, nodes, partitions, licences: the controller's own state."""

from collections.abc import Mapping

from adapters.slurm.rest import cluster
from bridge.slurmrest.asking import Ask, Handler, Reply, World


def handlers(world: World) -> Mapping[str, Handler]:
    async def get_ping(ask: Ask) -> Reply:
        began = world.now()
        is_up = ask.is_known
        if is_up:
            await world.service.store.last_seq()
        latency = int((world.now() - began) * 1e6)
        return Reply({"pings": [cluster.ping(world.host, latency, is_up=is_up)]})

    return {"slurm_get_ping": get_ping}
