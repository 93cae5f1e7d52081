"""scontrol create, update, delete and show of reservations and partitions, at the server."""

from adapters.slurm import errors, scontrol, scontrol_site
from adapters.slurm.answer import Answer
from adapters.slurm.scontrol_show import joined
from bridge.core.errors import BridgeError
from bridge.core.reservations import Reservation
from bridge.core.users import Caller
from bridge.service.changes import Wanted
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply

_BY_NUMBER = (
    "Note, unless nodes are directly requested a reservation must exist in a single partition.\n"
    "If no partition is requested the default partition is assumed.\n"
)


async def run(world: World, caller: Caller, call: Call) -> Reply | None:
    """None: the order is about something else."""
    order = scontrol_site.read(scontrol.operands(call.argv), world.clock(call))
    match order:
        case None:
            return None
        case Answer():
            return reply(order)
        case scontrol_site.ReservationOrder():
            return await _reservation(world, caller, order)
        case scontrol_site.PartitionOrder():
            return await _partition(world, caller, order)
        case scontrol_site.Delete():
            return await _delete(world, caller, order)


async def _reservation(world: World, caller: Caller, order: scontrol_site.ReservationOrder) -> Reply:
    def is_known(name: str) -> bool:
        return world.find_user(name) is not None

    if order.verb == "create":
        wanted = _wanted(Reservation(order.name, 0.0, 0.0, ()), order)
        try:
            made = await world.service.changes.create_reservation(caller, wanted, is_known)
        except BridgeError as error:
            note = _BY_NUMBER if wanted.node_count is not None and error.code == "nodes_busy" else ""
            text = errors.text_of(error.code, error.sentence)
            return Reply(note, f"Error creating the reservation: {text}\n", 1)
        return Reply(f"Reservation created: {made.name}\n")
    try:
        await world.service.changes.update_reservation(
            caller, order.name, lambda before: _wanted(before, order), is_known
        )
    except BridgeError as error:
        return Reply(stderr=f"slurm_update error: {errors.text_of(error.code, error.sentence)}\n", exit_code=1)
    return Reply("Reservation updated.\n")


def _wanted(before: Reservation, order: scontrol_site.ReservationOrder) -> Wanted:
    one, count, all_nodes = scontrol_site.applied(before, order.settings)
    return Wanted(one, count, all_nodes)


async def _partition(world: World, caller: Caller, order: scontrol_site.PartitionOrder) -> Reply:
    changes = world.service.changes
    try:
        if order.verb == "create":
            await changes.create_partition(caller, order.name, order.fields)
        else:
            await changes.update_partition(caller, order.name, order.fields)
    except BridgeError as error:
        text = errors.text_of(error.code, error.sentence)
        where = "Error creating the partition" if order.verb == "create" else "slurm_update error"
        return Reply(stderr=f"{where}: {text}\n", exit_code=1)
    return Reply()


async def _delete(world: World, caller: Caller, order: scontrol_site.Delete) -> Reply:
    changes = world.service.changes
    try:
        if order.kind == "reservation":
            await changes.delete_reservation(caller, order.name)
        else:
            await changes.delete_partition(caller, order.name)
    except BridgeError as error:
        text = errors.text_of(error.code, error.sentence)
        return Reply(stderr=f"delete_{order.kind} {order.text}: {text}\n", exit_code=1)
    return Reply()


async def show(world: World, call: Call, name: str | None, *, one_line: bool) -> Reply:
    kept = await world.service.runtime.reservations()
    chosen = [one for one in kept if not name or one.name == name]
    if not chosen:
        if name:
            return Reply(f"Reservation {name} not found\n", exit_code=1)
        return Reply("No reservations in the system\n")
    nodes = await world.service.nodes.known()
    clock = world.clock(call)
    return Reply("".join(joined(scontrol_site.lines(one, nodes, clock), one_line=one_line) for one in chosen))
