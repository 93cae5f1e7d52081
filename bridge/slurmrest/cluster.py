"""ping, diag, nodes, partitions, reservations, licences, shares: the controller's own state."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.slurm import errors, hostlist, scontrol_site, sdiag
from adapters.slurm.rest import cluster, diagnostics, envelope, nodes, parsing
from adapters.slurm.rest.envelope import Error
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import STRINGS, Json
from adapters.slurm.scontrol_show import NodeUse
from bridge.core.errors import Conflict, Refused
from bridge.core.nodes import Order
from bridge.slurmrest import queries
from bridge.slurmrest.asking import Ask, Handler, NotModified, Reply, World
from bridge.slurmrest.counters import Counters
from bridge.store.records import JobQuery


def handlers(world: World, counters: Counters) -> Mapping[str, Handler]:
    one = Cluster(world, counters)
    return {
        "slurm_get_ping": one.ping,
        "slurm_get_diag": one.diag,
        "slurm_get_nodes": one.nodes,
        "slurm_get_node": one.node,
        "slurm_post_node": one.change_node,
        "slurm_post_nodes": one.change_nodes,
        "slurm_get_partitions": one.partitions,
        "slurm_get_partition": one.partition,
        "slurm_get_reservations": one.reservations,
        "slurm_get_reservation": one.reservation,
        "slurm_get_licenses": one.licenses,
        "slurm_get_shares": one.shares,
        "util_post_hostnames": one.hostnames,
        "util_post_hostlist": one.hostlist,
    }


class Cluster:
    def __init__(self, world: World, counters: Counters) -> None:
        self._world = world
        self._service = world.service
        self._counters = counters

    async def ping(self, ask: Ask) -> Reply:
        """A token that is worth nothing cannot ask: to its holder the controller is down, as with slurmrestd."""
        began = self._world.now()
        if ask.is_known:
            await self._service.store.last_seq()
        latency = int((self._world.now() - began) * 1e6)
        return Reply({"pings": [cluster.ping(self._world.host, latency, is_up=ask.is_known)]})

    # ── diag ──────────────────────────────────────────────────────────────────────────────────────

    async def diag(self, ask: Ask) -> Reply:
        world = self._world
        recent = await self._service.jobs(ask.caller, JobQuery(active_since=world.started_at))
        numbers = diagnostics.counted(sdiag.tally(recent, world.started_at), self._service.cycles)
        by_type = [
            told
            for operation, count in self._counters.by_operation.items()
            if (told := diagnostics.rpc_type(operation, count.calls, count.microseconds)) is not None
        ]
        by_user = [
            diagnostics.rpc_user(uid, name, count.calls, count.microseconds)
            for (uid, name), count in self._counters.by_user.items()
        ]
        return Reply({"statistics": diagnostics.statistics(world.now(), world.started_at, numbers, by_type, by_user)})

    # ── nodes ─────────────────────────────────────────────────────────────────────────────────────

    async def nodes(self, ask: Ask) -> Reply:
        last = await self._changed_since(ask, "op_handler_nodes")
        uses = await self._uses(ask)
        site = self._service.site
        return Reply({"nodes": [nodes.node(use, site) for use in uses], "last_update": last})

    async def node(self, ask: Ask) -> Reply:
        last = await self._changed_since(ask, "op_handler_node")
        name = ask.parameters["node_name"]
        found = [use for use in await self._uses(ask) if use.node.name == name]
        if not found:
            ask.said.error(f"Failure to query node {name}", envelope.SUCCESS, "_dump_nodes")
            return Reply()
        return Reply({"nodes": [nodes.node(use, self._service.site) for use in found], "last_update": last})

    async def change_node(self, ask: Ask) -> Reply:
        name = ask.parameters["node_name"]
        wanted = _change_of(ask)
        if wanted.get("name"):
            ignored = hostlist.compress(wanted["name"])
            ask.said.warn(f"node_names field {ignored} ignored for singular node update", "_update_node")
        return await self._change(ask, [name], wanted, "_update_node")

    async def change_nodes(self, ask: Ask) -> Reply:
        wanted = _change_of(ask)
        names = [name for word in wanted.get("name") or () for name in scontrol_site.expanded(word)]
        return await self._change(ask, names, wanted, "_update_nodes")

    async def _change(self, ask: Ask, names: Sequence[str], wanted: Mapping[str, Any], source: str) -> Reply:
        """As slurmctld: the nodes that there are are changed, although others are not there."""
        failure = f"Failure to update node {hostlist.compress(names) if names else '(null)'}"
        refused = [field for field, value in wanted.items() if value and field not in _CHANGEABLE]
        if refused:
            sentence = f"{', '.join(refused)}: what a node is stands in the site file; only its state can be set"
            raise Failed(Error(failure, -1, source, sentence))
        if not ask.caller.is_operator:
            raise Failed(Error(failure, errors.number_of("invalid_user_id"), source))
        known = {node.name for node in await self._service.nodes.known()}
        for name in names:
            if name in known:
                await self._change_one(ask, name, wanted, failure, source)
        if not names or not known >= set(names):
            raise Failed(Error(failure, errors.number_of("invalid_node_name"), source))
        return Reply()

    async def _change_one(self, ask: Ask, name: str, wanted: Mapping[str, Any], failure: str, source: str) -> None:
        words = wanted.get("state", ())
        order = _ORDERS.get(words[0]) if len(words) == 1 else None
        if "state" not in wanted:
            order = "REASON"
        try:
            if order is None:
                raise Refused("no such change of state", code="invalid_node_state")
            await self._service.nodes.mark(ask.caller, [name], order, wanted.get("reason") or "")
        except (Conflict, Refused) as error:
            raise Failed(envelope.of_bridge(failure, error, source)) from error

    async def _uses(self, ask: Ask) -> list[NodeUse]:
        return await self._world.node_uses(ask.caller)

    # ── partitions and the rest ───────────────────────────────────────────────────────────────────

    async def partitions(self, ask: Ask) -> Reply:
        last = await self._changed_since(ask, "op_handler_partitions")
        site, known = self._service.site, await self._service.nodes.known()
        found = [nodes.partition(one, known, site) for one in site.partitions]
        return Reply({"partitions": found, "last_update": last})

    async def partition(self, ask: Ask) -> Reply:
        last = await self._changed_since(ask, "op_handler_partition")
        name = ask.parameters["partition_name"]
        site, known = self._service.site, await self._service.nodes.known()
        one = site.partition(name)
        if one is None:
            ask.said.error(f"Unable to find partition {name}", envelope.INVALID_QUERY, "op_handler_partition")
            return Reply()
        return Reply({"partitions": [nodes.partition(one, known, site)], "last_update": last})

    async def reservations(self, ask: Ask) -> Reply:
        last = await self._changed_since(ask, "op_handler_reservations")
        return Reply({"reservations": await self._kept(), "last_update": last})

    async def reservation(self, ask: Ask) -> Reply:
        last = await self._changed_since(ask, "op_handler_reservation")
        found = [one for one in await self._kept() if one["name"] == ask.parameters["reservation_name"]]
        if not found:
            ask.said.error("Unable to query reservations", envelope.SUCCESS, "slurm_load_reservations()")
            return Reply()
        return Reply({"reservations": found, "last_update": last})

    async def _kept(self) -> list[dict[str, Any]]:
        known = await self._service.nodes.known()
        return [nodes.reservation(one, known) for one in await self._service.runtime.reservations()]

    async def licenses(self, ask: Ask) -> Reply:
        queries.read(ask, "op_handler_licenses")
        rows = await self._service.nodes.licenses()
        last = await self._world.changes.last()
        return Reply({"licenses": [nodes.license_(*row) for row in rows], "last_update": last})

    async def shares(self, ask: Ask) -> Reply:
        queries.read(ask, "op_handler_shares")
        return Reply({"shares": cluster.NO_SHARES})

    async def hostnames(self, ask: Ask) -> Reply:
        given = parsing.record(parsing.load(ask.body) or {}, cluster.HOSTLIST, "#/", ask.said, "HOSTLIST_REQ")
        try:
            return Reply({"hostnames": hostlist.expand(given.get("hostlist") or "")})
        except ValueError as error:
            raise Failed(Error(f"Invalid hostlist: {given['hostlist']}", -1, "op_handler_hostnames")) from error

    async def hostlist(self, ask: Ask) -> Reply:
        given = parsing.record(parsing.load(ask.body) or {}, cluster.HOSTNAMES, "#/", ask.said, "HOSTNAMES_REQ")
        return Reply({"hostlist": hostlist.compress(list(given.get("hostnames") or ()))})

    async def _changed_since(self, ask: Ask, source: str) -> int:
        """When something last changed; NotModified when the caller knows that already."""
        last = await self._world.changes.last()
        since = queries.read(ask, source).moment("update_time", self._world.now())
        if since is not None and since >= last:
            raise NotModified
        return last


_CHANGEABLE = frozenset({"state", "reason", "reason_uid", "name"})
_ORDERS: Mapping[str, Order] = {
    "DRAIN": "DRAIN",
    "FAIL": "FAIL",
    "DOWN": "DOWN",
    "RESUME": "RESUME",
    "UNDRAIN": "UNDRAIN",
    "IDLE": "IDLE",
}


def _change_of(ask: Ask) -> dict[str, Any]:
    given = parsing.an_object(parsing.load(ask.body) or {}, "#/")
    lists: dict[str, Json] = {}
    for name, value in given.items():
        if isinstance(value, str) and nodes.CHANGE.fields.get(name) == STRINGS:
            parsing.warn_of_type(value, STRINGS, f"#/{name}/", ask.said)
            lists[name] = [value]
    return parsing.record({**given, **lists}, nodes.CHANGE, "#/", ask.said, "UPDATE_NODE_MSG", ask.version)
