"""Reservations that operators create, change and delete; kept with those that scontrol made."""

from collections.abc import Mapping
from typing import Any

from adapters.slurm import errors, scontrol_site
from adapters.slurm.rest import envelope, parsing, reservations
from adapters.slurm.rest.envelope import Error
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.scontrol_site import ReservationOrder
from bridge.core.errors import BridgeError
from bridge.core.reservations import Reservation
from bridge.service.changes import Wanted
from bridge.slurmrest.asking import Ask, Handler, Reply, World


def handlers(world: World) -> Mapping[str, Handler]:
    one = ReservationWriter(world)
    return {
        "slurm_post_reservation": one.put,
        "slurm_post_reservations": one.put_many,
        "slurm_delete_reservation": one.delete,
    }


class ReservationWriter:
    def __init__(self, world: World) -> None:
        self._world = world
        self._service = world.service

    async def put(self, ask: Ask) -> Reply:
        found = reservations.read(parsing.load(ask.body), "#/", ask.version, ask.said)
        await self._put(ask, found)
        return Reply({"reservations": [reservations.told(found)]})

    async def put_many(self, ask: Ask) -> Reply:
        given = reservations.many(parsing.load(ask.body))
        if not given:
            ask.said.warn(reservations.NOTHING_LISTED, "_parse_resv_desc_list")
        read = [
            reservations.read(value, f"#/reservations[{index}]/", ask.version, ask.said)
            for index, value in enumerate(given)
        ]
        for found in read:
            await self._put(ask, found)
        return Reply({"reservations": [reservations.told(found) for found in read]})

    async def _put(self, ask: Ask, found: Mapping[str, Any]) -> None:
        name = found["name"]
        before = next((one for one in await self._service.runtime.reservations() if one.name == name), None)
        is_there = before is not None
        order = reservations.order_of(found, "update" if is_there else "create")
        users = (*(found.get("users") or ()), *(before.users if before is not None else ()))
        known = {user: await self._world.people.find_soon(user) for user in users}
        changes = self._service.changes

        def is_known(user: str) -> bool:
            return known.get(user) is not None

        try:
            if is_there:
                await changes.update_reservation(ask.caller, name, lambda before: _wanted(before, order), is_known)
            else:
                wanted = _wanted(Reservation(name, 0.0, 0.0, ()), order)
                await changes.create_reservation(ask.caller, wanted, is_known)
        except BridgeError as error:
            failure = f"Error updating reservation {name}" if is_there else f"Error creating reservation  {name}"
            source = "slurm_update_reservation" if is_there else "slurm_create_reservation"
            if is_there and error.code == "unspecified":  # no such user, which slurmctld tells of an update alone
                raise Failed(Error(failure, errors.number_of("invalid_user_id"), source)) from error
            raise Failed(envelope.of_bridge(failure, error, source)) from error

    async def delete(self, ask: Ask) -> Reply:
        name = ask.parameters["reservation_name"]
        try:
            await self._service.changes.delete_reservation(ask.caller, name)
        except BridgeError as error:
            failure = f"Error deleting reservation {name}"
            raise Failed(envelope.of_bridge(failure, error, "slurm_delete_reservation")) from error
        return Reply()


def _wanted(before: Reservation, order: ReservationOrder) -> Wanted:
    one, count, all_nodes = scontrol_site.applied(before, order.settings)
    return Wanted(one, count, all_nodes)
