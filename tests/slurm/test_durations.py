"""Times as the commands print them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import durations, values
from bridge.core.request import UNLIMITED_SECONDS
from tests.builders import NOON


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (0, "0:00", "00:00:00"),
        (59.9, "0:59", "00:00:59"),
        (3599, "59:59", "00:59:59"),
        (3600, "1:00:00", "01:00:00"),
        (86400, "1-00:00:00", "1-00:00:00"),
        (93785, "1-02:03:05", "1-02:03:05"),
        (-1, "INVALID", "INVALID"),
    ],
)
def test_lengths(seconds, short, long):
    assert (durations.short(seconds), durations.long(seconds)) == (short, long)


def test_limits_are_whole_minutes():
    assert durations.long_limit(61) == "00:02:00"
    assert durations.short_limit(UNLIMITED_SECONDS) == "UNLIMITED"


@given(st.integers(1, 10**7))
def test_limits_read_back(minutes):
    assert values.time_limit(durations.long_limit(minutes * 60)) == minutes * 60


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00:00"), (0.001, "00:00.001"), (61.5, "01:01.500"), (7200, "02:00:00")]
)
def test_cpu_time(seconds, text):
    assert durations.cpu_time(seconds) == text


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"TZ": "UTC"}, "2023-11-14T22:13:20"),
        ({"TZ": ":Asia/Tokyo"}, "2023-11-15T07:13:20"),
        ({"TZ": "UTC", "SLURM_TIME_FORMAT": "%H"}, "22"),
        ({"TZ": "UTC", "SLURM_TIME_FORMAT": "standard"}, "2023-11-14T22:13:20"),
        ({"TZ": "UTC", "SLURM_TIME_FORMAT": "relative"}, "Ystday 22:13"),
    ],
)
def test_points_in_time(environ, text):
    assert durations.clock_of(environ, NOON + 7200).stamp(NOON) == text


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "No/Such", "\0", "x" * 5000, "EST5EDT,M3.2.0"])
def test_a_strange_zone_is_the_servers(name):
    durations.clock_of({"TZ": name}, NOON).stamp(NOON)


@given(st.text(max_size=80))
def test_any_wish_for_a_form_prints(form):
    clock = durations.clock_of({"TZ": "UTC", "SLURM_TIME_FORMAT": form}, NOON)
    try:
        assert isinstance(clock.stamp(NOON), str)
    except UnicodeEncodeError:
        pytest.fail("a form that is no text")
