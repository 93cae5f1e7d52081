"""Points in time as --begin, --deadline and sacct's -S and -E take them.

`now+1hour`, `tomorrow 10:00`, `16:00`, `2031-01-31T12:34`, `013131`, `01/31/31`, `uts1900000000` … The asking
user's zone and the present are arguments. An error carries the line that Slurm prints, with the place.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo

from adapters.slurm.values import BadValue

_CLOCK_WORDS = {"midnight": 0, "noon": 12, "elevenses": 11, "fika": 15, "teatime": 16}
_UNITS = {
    **dict.fromkeys(("second", "seconds"), 1),
    **dict.fromkeys(("minute", "minutes"), 60),
    **dict.fromkeys(("hour", "hours"), 3600),
    **dict.fromkeys(("day", "days"), 86400),
    **dict.fromkeys(("week", "weeks"), 604800),
}


def parse_begin(text: str, now: float, tz: tzinfo | None = None) -> float:
    """Epoch seconds. A time of day that has passed means tomorrow, a date without a year next year."""
    return _parse(text, now, tz, may_be_past=False)


def parse_past(text: str, now: float, tz: tzinfo | None = None) -> float:
    """Epoch seconds. A time of day is today's, a date without a year this year's: of windows into the past."""
    return _parse(text, now, tz, may_be_past=True)


def _parse(text: str, now: float, tz: tzinfo | None, *, may_be_past: bool) -> float:
    if not text:
        raise BadValue()
    reader = _Reader(text, now, tz, may_be_past)
    try:
        return reader.read()
    except (OverflowError, ValueError, OSError) as error:
        if isinstance(error, BadValue):
            raise
        raise reader.wrong(0) from error


@dataclass(slots=True)
class _Reader:
    text: str
    now: float
    tz: tzinfo | None
    may_be_past: bool
    at: int = 0
    day: date | None = None
    has_year: bool = True
    clock: time | None = None
    shift: int | None = None
    """Seconds after now."""
    absolute: float | None = None
    moment: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.moment = datetime.fromtimestamp(self.now, self.tz)

    def read(self) -> float:
        while self.at < len(self.text):
            self._part()
        if self.absolute is not None:
            return self.absolute
        if self.shift is not None:
            return self.now + self.shift
        return self._joined()

    def wrong(self, at: int) -> BadValue:
        return BadValue(plain=f"Invalid time specification (pos={at}): {self.text}")

    def _joined(self) -> float:
        if self.day is None:
            clock = self.clock if self.clock is not None else time()
            due = datetime.combine(self.moment.date(), clock, self.tz)
            if due.timestamp() < self.now and self.clock is not None and not self.may_be_past:
                due = datetime.combine(self.moment.date() + timedelta(days=1), clock, self.tz)
            return due.timestamp()
        due = datetime.combine(self.day, self.clock or time(), self.tz)
        if not self.has_year and due.timestamp() < self.now and not self.may_be_past:
            due = datetime.combine(_day(self.day.year + 1, self.day.month, self.day.day), self.clock or time(), self.tz)
        return due.timestamp()

    def _part(self) -> None:
        """One word, date or time of day at `at`; what stood there before must not be said twice."""
        character = self.text[self.at]
        if character in " \t\nT":  # a capital T separates, wherever it stands
            self.at += 1
        elif self.day is not None and character == "-":
            self.at += 1
            self._time_of_day()
        elif character.isascii() and character.isdigit():
            self._number()
        elif character.isalpha():
            self._word()
        else:
            raise self.wrong(self.at)

    def _word(self) -> None:
        rest = self.text[self.at :].lower()
        if self.text.startswith("uts", self.at) and rest[3:].isascii() and rest[3:].isdigit() and len(rest) < 16:
            self.absolute = float(rest[3:])
            self.at = len(self.text)
        elif rest.startswith("today"):
            self._set_day(self.moment.date(), 5, again=True)
        elif rest.startswith("tomorrow"):
            self._set_day(self.moment.date() + timedelta(days=1), 8, again=True)
        elif rest.startswith("now"):
            self.at += 3
            self._shift()
        else:
            for word, hour in _CLOCK_WORDS.items():
                if rest.startswith(word) and self.clock is None:
                    self.clock = time(hour)
                    self.at += len(word)
                    return
            raise self.wrong(self.at)

    def _set_day(self, day: date, length: int, *, has_year: bool = True, again: bool = False) -> None:
        if (self.day is not None and not again) or self.shift is not None:
            raise self.wrong(self.at)
        self.day, self.has_year = day, has_year
        self.at += length

    def _shift(self) -> None:
        """`+5`, `+1hour`, `-30minutes` after `now`; nothing is no shift."""
        begin = self.at
        rest = self.text[begin:].lstrip(" \t")
        self.shift = 0
        if not rest:
            self.at = len(self.text)
            return
        if rest[0] not in "+-":
            raise self.wrong(begin)
        amount = rest[1:].lstrip(" \t")
        digits = _digits(amount)
        if not digits or len(digits) > 12:
            raise self.wrong(begin)
        unit = amount[len(digits) :].strip(" \t").lower()
        if unit and unit not in _UNITS:
            raise self.wrong(begin + len(rest) - len(rest[1:].lstrip(" \t")))
        self.shift = int(digits) * _UNITS.get(unit or "second", 1) * (-1 if rest[0] == "-" else 1)
        self.at = len(self.text)

    def _number(self) -> None:
        """A date or a time of day: what follows the first digits decides."""
        rest = self.text[self.at :]
        digits = _digits(rest)
        separator = rest[len(digits) : len(digits) + 1]
        if separator == ":":
            self._time_of_day()
        elif len(digits) == 4 and separator == "-" and rest[7:8] == "-":
            self._iso_date(rest)
        elif len(digits) == 4 and self.day is None:
            month, day = int(rest[:2]), int(rest[2:4])
            found = self._checked(self.moment.year, month, day, self.at + (2 if 1 <= month <= 12 else 0))
            self._set_day(found, 4, has_year=False)
        elif separator in ("/", ".") and len(digits) <= 2:
            self._american_date(rest, separator)
        elif len(digits) == 6 and self.day is None:
            self._set_day(self._checked(2000 + int(rest[4:6]), int(rest[:2]), int(rest[2:4]), self.at + 2), 6)
        else:
            glued = self.day is not None and self.text[self.at - 1 : self.at] not in ("T", "-")
            inside = glued or len(digits) > 6
            raise self.wrong(self.at if inside else self.at + min(len(digits), 2))

    def _iso_date(self, rest: str) -> None:
        month, day = rest[5:7], rest[8:10]
        if not (_two(month) and rest[7:8] == "-" and _two(day)):
            raise self.wrong(self.at)
        self._set_day(self._checked(int(rest[:4]), int(month), int(day), self.at + 5), 10)

    def _american_date(self, rest: str, separator: str) -> None:
        parts = rest.split(separator, 2)
        month, day = parts[0], _digits(parts[1])[:2]
        if not day:
            raise self.wrong(self.at)
        length = len(month) + 1 + len(day)
        if rest[length : length + 1] != separator:
            found = self._checked(self.moment.year, int(month), int(day), self.at)
            self._set_day(found, length, has_year=False)
            return
        year = _digits(rest[length + 1 :])[:2]
        if len(year) != 2:
            raise self.wrong(self.at + length + 1 + len(year))
        self._set_day(self._checked(2000 + int(year), int(month), int(day), self.at), length + 3)

    def _checked(self, year: int, month: int, day: int, at: int) -> date:
        if not (1 <= month <= 12 and 1 <= day <= 31 and year >= 1970):
            raise self.wrong(at)
        return _day(year, month, day)

    def _time_of_day(self) -> None:
        """`HH:MM[:SS]`, then AM or PM if wanted."""
        begin = self.at
        if self.clock is not None:
            raise self.wrong(begin)
        hour = self._number_of_digits(1)
        if hour is None or self.text[self.at : self.at + 1] != ":":
            raise self.wrong(self.at)
        if hour > 23:
            raise self.wrong(begin)
        self.at += 1
        minute_at = self.at
        minute = self._number_of_digits(2)
        if minute is None or minute > 59:
            raise self.wrong(minute_at)
        second = 0
        if self.text[self.at : self.at + 1] == ":":
            second_at = self.at + 1
            self.at += 1
            read = self._number_of_digits(2)
            if read is None or read > 59:
                raise self.wrong(second_at)
            second = read
        self.clock = time(self._in_half_day(hour), minute, second)

    def _in_half_day(self, hour: int) -> int:
        word = self.text[self.at :].lstrip(" \t")
        half = word[:2].lower()
        if half not in ("am", "pm"):
            return hour
        if hour > 12:
            raise self.wrong(self.at)
        self.at = len(self.text) - len(word) + 2
        return hour % 12 + (12 if half == "pm" else 0)

    def _number_of_digits(self, least: int) -> int | None:
        """Up to two digits at `at`; one where two are needed is an error behind it."""
        digits = _digits(self.text[self.at :])[:2]
        self.at += len(digits)
        if digits and len(digits) < least:
            raise self.wrong(self.at)
        return int(digits) if digits else None


def _digits(text: str) -> str:
    length = 0
    while length < len(text) and text[length] in "0123456789":
        length += 1
    return text[:length]


def _two(text: str) -> bool:
    return len(text) == 2 and text.isascii() and text.isdigit()


def _day(year: int, month: int, day: int) -> date:
    """A day that the month does not have runs on into the next, as C's mktime has it."""
    return date(year, month, 1) + timedelta(days=day - 1)
