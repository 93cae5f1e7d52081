"""sacctmgr at the server: lists from the accounting book, changes to it by operators, with the question before."""

from adapters.slurm import hostlist, sacctmgr, sacctmgr_list
from adapters.slurm.answer import Answer
from adapters.slurm.sacctmgr_fields import ClusterFacts
from bridge.core.users import Caller
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply

_DECIDE = " (You have 30 seconds to decide)\n(N/y): "


async def run(world: World, caller: Caller, call: Call) -> Reply:
    order = sacctmgr.read(call.argv)
    if isinstance(order, Answer):
        return reply(order)
    if isinstance(order, sacctmgr.List):
        return await _list(world, call, order)
    return Reply(stderr="sacctmgr: error: not built\n", exit_code=1)


async def _list(world: World, call: Call, order: sacctmgr.List) -> Reply:
    if sacctmgr_list.needs_question(order) and "--immediate" not in call.argv and "-i" not in call.argv:
        if call.state.get("asked") is not True:
            return Reply(question=sacctmgr_list.ONLY_WITH_ASSOCIATIONS + _DECIDE, state={"asked": True})
        if (call.answer or "").strip().lower()[:1] != "y":
            return Reply("Aborted\n")
    book = await world.service.accounting.book()
    return Reply(sacctmgr_list.text(order, book, await _facts(world)))


async def _facts(world: World) -> ClusterFacts:
    nodes = await world.service.known_nodes()
    amounts: dict[str, int] = {
        "cpu": sum(node.cpus for node in nodes),
        "mem": sum(node.memory_mib for node in nodes),
        "node": len(nodes),
        "billing": sum(node.cpus for node in nodes),
    }
    for node in nodes:
        for name, _, count in node.gres:
            amounts[f"gres/{name}"] = amounts.get(f"gres/{name}", 0) + count
    here = world.here
    return ClusterFacts(
        name=world.service.site.cluster_name,
        host=here.address or here.host,
        port=here.port or 0,
        tres=tuple(amounts.items()),
        node_count=len(nodes),
        node_list=hostlist.compress([node.name for node in nodes]),
    )
