"""Points in time as a real sbatch 25.11 took or refused them."""

import contextlib
import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import timespec
from adapters.slurm.values import BadValue

UTC = datetime.UTC
NOW = datetime.datetime(2026, 11, 25, 7, 43, 20, tzinfo=UTC).timestamp()


def read(text: str, zone: datetime.tzinfo = UTC) -> str:
    moment = datetime.datetime.fromtimestamp(timespec.parse_begin(text, NOW, zone), zone)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now+1", "2026-11-25T07:43:21"),
        ("now+1hours", "2026-11-25T08:43:20"),
        ("NOW+1HOUR", "2026-11-25T08:43:20"),
        ("now + 5", "2026-11-25T07:43:25"),
        ("now+1week", "2026-12-02T07:43:20"),
        ("now-30minutes", "2026-11-25T07:13:20"),
        ("now+5day", "2026-11-30T07:43:20"),
        ("today", "2026-11-25T00:00:00"),
        ("tomorrow", "2026-11-26T00:00:00"),
        ("midnight", "2026-11-26T00:00:00"),
        ("noon", "2026-11-25T12:00:00"),
        ("elevenses", "2026-11-25T11:00:00"),
        ("fika", "2026-11-25T15:00:00"),
        ("teatime tomorrow", "2026-11-26T16:00:00"),
        ("noontomorrow", "2026-11-26T12:00:00"),
        ("23:59:59", "2026-11-25T23:59:59"),
        ("7:30am", "2026-11-26T07:30:00"),
        ("11:45PM", "2026-11-25T23:45:00"),
        ("12:30AM", "2026-11-26T00:30:00"),
        ("10:00 tomorrow", "2026-11-26T10:00:00"),
        ("tomorrow 10:00", "2026-11-26T10:00:00"),
        (" 10:00", "2026-11-25T10:00:00"),
        ("T10:00", "2026-11-25T10:00:00"),
        ("010227", "2027-01-02T00:00:00"),
        ("01/31", "2027-01-31T00:00:00"),
        ("0131", "2027-01-31T00:00:00"),
        ("1231T10:00", "2026-12-31T10:00:00"),
        ("1231-10:00", "2026-12-31T10:00:00"),
        ("12/31", "2026-12-31T00:00:00"),
        ("12/31T10:00", "2026-12-31T10:00:00"),
        ("01/31/27", "2027-01-31T00:00:00"),
        ("01.31.27", "2027-01-31T00:00:00"),
        ("2031-01-31", "2031-01-31T00:00:00"),
        ("2031-01-31T12:34", "2031-01-31T12:34:00"),
        ("2027-01-02-10:00", "2027-01-02T10:00:00"),
        ("2027-01-02 10:00", "2027-01-02T10:00:00"),
        ("2027-02-30", "2027-03-02T00:00:00"),
        ("uts1900000000", "2030-03-17T17:46:40"),
    ],
)
def test_points_in_time(text, moment):
    assert read(text) == moment


@pytest.mark.parametrize(
    ("text", "position"),
    [
        *(("now+", 3), ("now+1h", 4), ("now+x", 3), ("now+-5", 3), ("12:00:60", 6), ("24:00", 0), ("25:61", 0)),
        *(("7AM", 1), ("13:00PM", 5), ("01/31/2027", 8), ("31.01.2027", 0), ("2027-1-2", 0), ("2027-01-02T10", 13)),
        *(
            ("uts", 0),
            ("UTS5", 0),
            ("TODAY", 1),
            ("10", 2),
            ("1234", 2),
            ("1301", 0),
            ("1231x", 4),
            ("12345", 2),
            ("123456", 2),
            ("20270102", 0),
        ),
        *(("2027-13-01", 5), ("1-2", 1), ("01-02", 2), ("xyz", 0), ("10:00x", 5), ("0:5", 3), ("1:2:3", 3)),
        *(("2027-01-02T10:00:00Z", 19), ("99/99", 0), ("1/2/3", 5)),
    ],
)
def test_the_place_of_an_error(text, position):
    with pytest.raises(BadValue) as bad:
        timespec.parse_begin(text, NOW, UTC)
    assert bad.value.plain == f"Invalid time specification (pos={position}): {text}"
    assert bad.value.lines("begin") == ["Invalid --begin specification"]


def test_an_empty_text_is_refused_without_a_place():
    with pytest.raises(BadValue) as bad:
        timespec.parse_begin("", NOW, UTC)
    assert bad.value.plain == ""


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("07:00", "2026-11-25T07:00:00"),
        ("midnight", "2026-11-25T00:00:00"),
        ("23:59", "2026-11-25T23:59:00"),
        ("01/31", "2026-01-31T00:00:00"),
        ("0131", "2026-01-31T00:00:00"),
        ("now-1hour", "2026-11-25T06:43:20"),
    ],
)
def test_windows_into_the_past_begin_today_and_this_year(text, moment):
    found = datetime.datetime.fromtimestamp(timespec.parse_past(text, NOW, UTC), UTC)
    assert found.strftime("%Y-%m-%dT%H:%M:%S") == moment


def test_the_zone_is_the_askers():
    assert read("10:00", zoneinfo.ZoneInfo("Asia/Tokyo")) == "2026-11-26T10:00:00"


@given(st.text(max_size=30) | st.from_regex(r"[-now+0-9:/.TtAMPMs todaymr]{0,25}", fullmatch=True))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(BadValue):
        assert isinstance(timespec.parse_begin(text, NOW, UTC), float | int)


@given(st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2099, 1, 1)))
def test_a_written_moment_is_read_back(moment):
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    assert read(text) == text
