from hypothesis import given
from hypothesis import strategies as st

from bridge.agent.clock import Clock


def test_a_limit_is_over_when_it_is_used_up() -> None:
    clock = Clock(100.0, 60, None)
    assert (clock.is_over(159.9), clock.is_over(160.0)) == (False, True)
    assert clock.next_due(130.0) == 30.0


def test_without_a_limit_nothing_is_ever_due() -> None:
    clock = Clock(0.0, None, 60)
    assert (clock.is_over(1e9), clock.take_warning(1e9), clock.next_due(1e9)) == (False, False, None)


def test_the_warning_is_given_once() -> None:
    clock = Clock(0.0, 100, 30)
    assert clock.next_due(0.0) == 70.0
    assert [clock.take_warning(now) for now in (69.0, 70.0, 71.0)] == [False, True, False]
    assert clock.next_due(70.0) == 30.0


def test_a_warning_longer_before_than_the_limit_is_due_at_once() -> None:
    assert Clock(0.0, 10, 60).take_warning(0.0)


def test_a_pause_does_not_count() -> None:
    clock = Clock(0.0, 100, None)
    clock.pause(40.0)
    clock.pause(50.0)
    assert (clock.is_over(1000.0), clock.next_due(1000.0)) == (False, None)
    clock.resume(1040.0)
    assert (clock.used(1050.0), clock.is_over(1099.0), clock.is_over(1100.0)) == (50.0, False, True)


def test_a_new_limit_counts_from_the_start() -> None:
    clock = Clock(0.0, 100, None)
    clock.set_limit(20)
    assert clock.is_over(20.0)
    clock.set_limit(None)
    assert not clock.is_over(1e9)


@given(st.lists(st.tuples(st.sampled_from(["pause", "resume", "wait"]), st.floats(0.001, 100)), max_size=20))
def test_what_is_used_and_what_is_left_make_up_the_limit(steps: list[tuple[str, float]]) -> None:
    clock, now, running, is_paused = Clock(0.0, 1e6, None), 0.0, 0.0, False
    for what, seconds in steps:
        if what != "wait":
            getattr(clock, what)(now)
            is_paused = what == "pause"
        now += seconds
        running += 0.0 if is_paused else seconds
    assert abs(clock.used(now) - running) < 1e-6
    left = clock.next_due(now)
    assert left is None if is_paused else left is not None and abs(left - (1e6 - running)) < 1e-6
