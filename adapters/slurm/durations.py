"""Times and lengths of time as Slurm's commands print them.

The zone and the wish for another form (SLURM_TIME_FORMAT) are the asking user's, so both come from the
environment that the command sent.
"""

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache

from bridge.core.request import UNLIMITED_SECONDS

_LONGEST_FORMAT = 64
"""Characters of SLURM_TIME_FORMAT that are looked at: it is another's text."""


def short(seconds: float) -> str:
    """squeue's form: `0:00`, `59:59`, `1:00:00`, `2-03:00:00`."""
    whole = int(seconds)
    if whole < 0:
        return "INVALID"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{second:02d}"
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}:{minute:02d}:{second:02d}"
    days, hour = divmod(hours, 24)
    return f"{days}-{hour:02d}:{minute:02d}:{second:02d}"


def long(seconds: float) -> str:
    """The form of scontrol and sacct: `00:30:00`, `1-00:00:00`."""
    whole = int(seconds)
    if whole < 0:
        return "INVALID"
    days, rest = divmod(whole, 86400)
    text = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days}-{text}" if days else text


def short_limit(seconds: int) -> str:
    return "UNLIMITED" if seconds >= UNLIMITED_SECONDS else short(_whole_minutes(seconds))


def long_limit(seconds: int) -> str:
    return "UNLIMITED" if seconds >= UNLIMITED_SECONDS else long(_whole_minutes(seconds))


def _whole_minutes(seconds: int) -> int:
    """Slurm keeps limits in minutes, rounded up."""
    return (seconds + 59) // 60 * 60


def cpu_time(seconds: float) -> str:
    """sacct's TotalCPU: `00:00:00` for nothing, `MM:SS.mmm` below an hour, `[D-]HH:MM:SS` above."""
    if seconds <= 0:
        return "00:00:00"
    if seconds < 3600:
        milliseconds = int(seconds * 1000)
        return f"{milliseconds // 60000:02d}:{milliseconds // 1000 % 60:02d}.{milliseconds % 1000:03d}"
    return long(seconds)


@dataclass(frozen=True, slots=True)
class Clock:
    """How one caller wants points in time."""

    zone: tzinfo | None = None
    """None: the server's."""
    form: str = "standard"
    now: float = 0.0

    def stamp(self, at: float | None, missing: str = "N/A") -> str:
        if at is None:
            return missing
        moment = datetime.fromtimestamp(int(at), self.zone)
        if self.form == "standard":
            return f"{moment:%Y-%m-%dT%H:%M:%S}"
        if self.form == "relative":
            return _relative(moment, datetime.fromtimestamp(self.now, self.zone))
        return moment.strftime(self.form)

    def banner(self) -> str:
        """The date line above long listings: `Wed Nov 25 07:22:41 2026`."""
        return f"{datetime.fromtimestamp(self.now, self.zone):%a %b %d %H:%M:%S %Y}"


def clock_of(environ: Mapping[str, str], now: float) -> Clock:
    form = environ.get("SLURM_TIME_FORMAT", "")[:_LONGEST_FORMAT]
    return Clock(zone_named(environ.get("TZ", "")), form if "%" in form or form == "relative" else "standard", now)


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo | None:
    """The zone of a TZ variable; None (the server's) when it is empty or not known here."""
    name = name.removeprefix(":")
    if not name:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return None


def _relative(moment: datetime, now: datetime) -> str:
    """Today `HH:MM:SS`, the days around it by name, this year `DD Mon HH:MM`, else `DD Mon YYYY`."""
    days = (moment.date() - now.date()).days
    if days == 0:
        return f"{moment:%H:%M:%S}"
    if days == -1:
        return f"Ystday {moment:%H:%M}"
    if days == 1:
        return f"Tomorr {moment:%H:%M}"
    if moment.year != now.year:
        return f"{moment.day} {moment:%b %Y}"
    if 0 < days < 7:
        return f"{moment:%a %H:%M}"
    return f"{moment.day} {moment:%b %H:%M}"
