"""Reservations in placement: who keeps off which nodes, who waits, and what is said."""

import pytest

from bridge.core import placement, queue
from bridge.core.accounting import empty_book
from bridge.core.job import JobKey
from bridge.core.placement import RESERVED, Plan
from bridge.core.reasons import Reason
from bridge.core.reservations import Reservation, standing
from bridge.core.users import User
from tests.builders import NOON, a_job, a_node, a_site

NODES = tuple(a_node(name) for name in ("n1", "n2", "n3", "n4"))
SITE = a_site()


def a_reservation(
    name: str = "r", start: float = 0, length: float = 1800, nodes: str = "n1", **more: object
) -> Reservation:
    """`start` in seconds after noon."""
    return Reservation(name, NOON + start, NOON + start + length, tuple(nodes.split(",")), users=("bob",), **more)  # type: ignore[arg-type]


def planned(*kept: Reservation, now: float = NOON, **asked: object) -> Plan:
    seconds = asked.pop("seconds", 600)
    job = a_job(id=1, time_limit_seconds=seconds, asked=asked)
    view = queue.view([job], SITE, now)
    wanted = frozenset({JobKey(1)})
    return placement.plan(view.candidates, view.running, NODES, SITE.partitions, {}, now, estimate=wanted, kept=kept)


def nodes_of(plan: Plan) -> list[str]:
    return [share.node for placed in plan.placements for share in placed.shares]


def test_others_keep_off_the_nodes():
    assert nodes_of(planned(a_reservation())) == ["n2"]
    assert nodes_of(planned(a_reservation(nodes="n1,n2,n3"))) == ["n4"]


def test_what_ends_before_it_begins_may_run_there():
    assert nodes_of(planned(a_reservation(start=600), node_list=("n1",))) == ["n1"]
    assert nodes_of(planned(a_reservation(start=599), node_list=("n1",))) == []


def test_a_job_of_the_reservation_runs_there_and_nowhere_else():
    assert nodes_of(planned(a_reservation(nodes="n3"), reservation="r")) == ["n3"]
    plan = planned(a_reservation(nodes="n3", start=60), reservation="r")
    assert plan.reasons == {JobKey(1): (Reason.RESERVATION, "")}
    assert planned(reservation="r").reasons == {JobKey(1): (Reason.RESERVATION_DELETED, "")}


def test_why_others_wait():
    assert planned(a_reservation(), node_list=("n1",)).reasons == {JobKey(1): (Reason.NODES_NOT_AVAILABLE, RESERVED)}
    assert planned(a_reservation(), nodes_min=4).reasons == {JobKey(1): (Reason.NODES_NOT_AVAILABLE, "")}


def test_others_are_expected_after_its_end():
    plan = planned(a_reservation(nodes="n1,n2,n3,n4"))
    assert [at for at, _ in plan.estimates.values()] == [NOON + 1800]


@pytest.mark.parametrize(("flag", "period"), [("HOURLY", 3600), ("DAILY", 86400), ("WEEKLY", 604800)])
def test_a_repeated_one_moves_on(flag: str, period: int):
    one = a_reservation(flags=(flag,))
    assert [kept.start_at for kept in standing([one], NOON + 1799)] == [NOON]
    assert [kept.start_at for kept in standing([one], NOON + 1800)] == [NOON + period]
    assert [kept.start_at for kept in standing([one], NOON + 1800 + 2 * period)] == [NOON + 3 * period]
    assert standing([a_reservation()], NOON + 1800) == ()


def test_who_may_use_it():
    book = empty_book()
    bob, eve = User("bob", 1, 1), User("eve", 2, 2, (2,), ("staff",))
    assert a_reservation().admits(bob, None, book)
    assert not a_reservation().admits(eve, None, book)
    groups = Reservation("r", 0, 1, (), groups=("staff",))
    assert (groups.admits(bob, None, book), groups.admits(eve, None, book)) == (False, True)
    others = Reservation("r", 0, 1, (), accounts=("physics",), are_accounts_shut_out=True)
    assert (others.admits(bob, "physics", book), others.admits(bob, "chem", book)) == (False, True)
