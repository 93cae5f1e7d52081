import pytest

from bridge.agent import memory, processes


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    kib = {"resident": 0, "proportional": 0, "dear": 0}

    def proportional(pids: list[int]) -> int:
        kib["dear"] += 1
        return kib["proportional"]

    monkeypatch.setattr(processes, "resident_kib", lambda pids: kib["resident"])
    monkeypatch.setattr(processes, "proportional_kib", proportional)
    return kib


def test_far_below_the_limit_looks_become_seldom_and_close_to_it_frequent(use: dict[str, int]) -> None:
    meter = memory.Meter(100, list)
    use["resident"] = 1024
    waits = []
    for _ in range(8):
        assert not meter.look(0.0)
        waits.append(meter.next_at)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]
    use["resident"] = 90 * 1024
    meter.look(0.0)
    assert (meter.next_at, meter.peak_kib, use["dear"]) == (0.05, 90 * 1024, 0)


def test_without_a_limit_it_looks_for_the_peak_only(use: dict[str, int]) -> None:
    meter = memory.Meter(None, list)
    use["resident"] = 1 << 30
    for _ in range(20):
        assert not meter.look(5.0)
    assert (meter.next_at, meter.peak_kib) == (15.0, 1 << 30)


def test_over_the_limit_shared_memory_is_counted_once_before_anything_is_ended(use: dict[str, int]) -> None:
    meter = memory.Meter(100, list)
    use.update(resident=200 * 1024, proportional=80 * 1024)
    assert not meter.look(0.0)
    use.update(proportional=101 * 1024)
    assert meter.look(0.0)
    assert meter.peak_kib == 101 * 1024
