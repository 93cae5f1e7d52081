"""Values of sbatch's options and of `scontrol update`: text in, value in our units out.

Each reader raises `BadValue`, which carries sbatch's own words and exit code. Which option the text belongs to
is known to the caller, so it is filled in there (`BadValue.lines`).
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.core.request import UNLIMITED_SECONDS, Gres, SignalWish


class BadValue(ValueError):
    """A value that sbatch refuses. `sentence` may name the option as OPTION and the text as VALUE."""

    def __init__(self, sentence: str = "", value: str = "", *, exit_code: int = 255, plain: str = "") -> None:
        super().__init__(sentence or value)
        self.sentence = sentence
        self.value = value
        self.exit_code = exit_code
        self.plain = plain
        """A line that sbatch prints first, without its name before it."""

    def lines(self, option: str) -> list[str]:
        """What sbatch says after `sbatch: error: `, the option named by its long name."""
        if not self.sentence:
            return [f"Invalid --{option} specification"]
        before, mark, after = self.sentence.partition("VALUE")
        said = before.replace("OPTION", option) + (self.value if mark else "") + after.replace("OPTION", option)
        return said.split("\n")


_INT_MAX = 2**31 - 1


def count(text: str) -> int:
    """A positive whole number, as -n and -c take it."""
    return whole_number(text, least=1)


def whole_number(text: str, least: int = 0) -> int:
    """What C's strtol reads completely: leading blanks and a plus are allowed."""
    digits = text.lstrip(" \t\n\v\f\r")
    digits = digits[1:] if digits[:1] == "+" else digits
    if not digits.isascii() or not digits.isdigit():
        raise BadValue('Invalid numeric value "VALUE" for --OPTION.', text, exit_code=1)
    number = int(digits[:20])
    if number >= _INT_MAX:
        raise BadValue("Numeric argument (VALUE) too large for --OPTION.", str(number), exit_code=1)
    if number < least:
        raise BadValue('Invalid numeric value "VALUE" for --OPTION.', text, exit_code=1)
    return number


def time_limit(text: str) -> int:
    """Seconds; whole minutes, rounded up as Slurm keeps them. 0, -1, UNLIMITED, INFINITE: no limit."""
    return min(UNLIMITED_SECONDS, (duration(text) + 59) // 60 * 60)


def duration(text: str) -> int:
    """Seconds of `MINUTES`, `M:S`, `H:M:S`, `D-H[:M[:S]]`; nothing at all, or `UNLIMITED`: no limit.

    Other negative numbers are refused, though Slurm makes nonsense of them.
    """
    if text.isdigit() and text.isascii() and len(text) < 10:
        minutes = int(text)
        return minutes * 60 if 0 < minutes * 60 < UNLIMITED_SECONDS else UNLIMITED_SECONDS
    if text.upper() in ("-1", "UNLIMITED", "INFINITE", "-0"):
        return UNLIMITED_SECONDS
    days, dash, clock = text.partition("-")
    if dash:
        parts = _numbers(clock, most=3) if clock else [0]
        shape = [_number(days), *parts, 0, 0][:4]
    else:
        parts = _numbers(text, most=3)
        # One number is minutes, two are minutes and seconds, three hours, minutes and seconds.
        shape = [0, *([0] if len(parts) < 3 else []), *parts, 0][:4]
    day, hour, minute, second = shape
    seconds = day * 86400 + hour * 3600 + minute * 60 + second
    return seconds if 0 < seconds < UNLIMITED_SECONDS else UNLIMITED_SECONDS


def _numbers(text: str, most: int) -> list[int]:
    parts = text.split(":")
    if len(parts) > most:
        raise BadValue()
    return [_number(part) for part in parts]


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise BadValue()
    return int(text)


_MEBIBYTES = {"M": 1, "G": 1024, "T": 1024 * 1024}


def memory(text: str) -> int:
    """MiB: a whole number with K, M (the default), G or T, and B if wanted, in any case. K rounds up."""
    body = text.strip(" \t\n\v\f\r") if text[:1].isspace() and not text[-1:].isspace() else text
    body = body[1:] if body[:1] == "+" else body
    digits = body.rstrip("kmgtKMGTbB")
    unit = body[len(digits) :].upper()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise BadValue()
    number = int(digits)
    if unit in ("K", "KB"):
        return (number + 1023) // 1024
    if unit not in ("", "M", "MB", "G", "GB", "T", "TB"):
        raise BadValue()
    return min(number * _MEBIBYTES[unit[:1] or "M"], 2**62)


@dataclass(frozen=True, slots=True)
class Nodes:
    """-N: exactly `least`, or up to `most`, or one of `sizes`."""

    least: int
    most: int | None = None
    sizes: tuple[int, ...] | None = None


_LARGEST_NODE_COUNT = 2**31 - 2
_MOST_SIZES = 4096
"""Allowed node counts that one list may name; more are no real wish."""


def node_count(text: str) -> Nodes:
    if "," in text or ":" in text:
        return _node_sizes(text)
    first, dash, last = text.strip(" ").partition("-")
    if not dash:
        return Nodes(_one_node_count(first))
    least = _one_node_count(first) if first else 1
    most = _one_node_count(last) if last else -1
    if most < least:
        said = f"Maximum node count {most} is less than minimum node count {least}"
        raise BadValue(said)
    # `-N -2` is read as a range from nothing to two; `-N -1` is one node.
    return Nodes(least, most)


def _one_node_count(text: str) -> int:
    digits = text[1:] if text[:1] == "+" else text
    factor = {"k": 1024, "m": 1024 * 1024}.get(digits[-1:].lower(), 1)
    digits = digits if factor == 1 else digits[:-1]
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12 or int(digits) * factor > _LARGEST_NODE_COUNT:
        raise BadValue('"VALUE" is not a valid node count', text)
    return int(digits) * factor


def _node_sizes(text: str) -> Nodes:
    """`1,3-5`, or `1-8:3`, whose end is not among them: 1, 4 and 7."""
    sizes: set[int] = set()
    for part in text.split(",") if ":" not in text else [text]:
        span, colon, step_text = part.partition(":")
        first, dash, last = span.partition("-")
        numbers = [first, *([last] if dash or colon else []), *([step_text] if colon else [])]
        if part and not all(n.isascii() and n.isdigit() and len(n) < 7 for n in numbers):
            raise BadValue('"VALUE" is not a valid node count', text)
        low = int(first) if part else 0
        high = int(last) if dash else low
        step = int(step_text) if colon else 1
        if step < 1 or high < low or (high - low) // step > _MOST_SIZES:
            raise BadValue('"VALUE" is not a valid node count', text)
        sizes.update(range(low, high if colon else high + 1, step))
    if not sizes or len(sizes) > _MOST_SIZES:
        raise BadValue('"VALUE" is not a valid node count', text)
    ordered = tuple(sorted(sizes))
    if len(ordered) == 1:
        return Nodes(ordered[0], sizes=ordered)
    if ordered == tuple(range(ordered[0], ordered[-1] + 1)):
        return Nodes(ordered[0], ordered[-1])
    return Nodes(ordered[0], ordered[-1], ordered)


SIGNALS: Mapping[str, int] = {
    name: getattr(signal, f"SIG{name}").value
    for name in (
        *("HUP", "INT", "QUIT", "ABRT", "KILL", "ALRM", "TERM", "USR1", "USR2", "URG", "CONT", "STOP", "TSTP"),
        *("TTIN", "TTOU", "XCPU", "CHLD", "TRAP", "BUS", "FPE", "SEGV", "PIPE", "PROF", "SYS", "WINCH", "IO"),
    )
}


def signal_number(text: str) -> int:
    """A name (with or without SIG, in any case) or a number. BadValue for 0, unknown names and too large ones."""
    word = text.strip(" ")
    if word.isascii() and word.isdigit():
        if 0 < int(word[:9]) < 65536:
            return int(word[:9])
        raise BadValue()
    number = SIGNALS.get(word.upper().removeprefix("SIG"))
    if number is None:
        raise BadValue()
    return number


@dataclass(frozen=True, slots=True)
class SignalOption:
    wish: SignalWish
    reservation_only: bool = False
    """`R:`: only when a reservation overlaps, which needs preemption."""


def signal_wish(text: str) -> SignalOption:
    """`[{R][B]:}SIG[@SECONDS]`"""
    flags, colon, rest = text.partition(":")
    if not colon:
        flags, rest = "", text
    elif not flags or flags.upper().strip("RB"):
        raise BadValue()
    name, at, seconds_text = rest.partition("@")
    seconds = 60
    if at and seconds_text:
        if not seconds_text.isascii() or not seconds_text.isdigit() or int(seconds_text[:9]) > 65535:
            raise BadValue()
        seconds = int(seconds_text[:9])
    wish = SignalWish(signal_number(name), seconds, "B" in flags.upper())
    return SignalOption(wish, "R" in flags.upper())


def gres_list(text: str, prefix: str = "") -> tuple[Gres, ...]:
    """`gpu:a100:2,tmpdisk:10G`, or with prefix "gpu" `a100:2,v100`. A word where a count should be is a type.

    `none` and nothing are no wish. BadValue (code of Slurm's controller) for what has too many or empty parts.
    """
    if not text or text.lower() == "none":
        return ()
    return tuple(_one_gres(part, prefix) for part in text.split(",") if part or prefix)


_FACTORS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def _one_gres(text: str, prefix: str) -> Gres:
    """NAME, NAME:TYPE, NAME:COUNT or NAME:TYPE:COUNT; an empty type is none."""
    whole = f"{prefix}:{text}" if prefix else text.removeprefix("gres/").removeprefix("gres:")
    name, colon, rest = whole.partition(":")
    if not colon:
        return Gres(name, bare=True)
    kind, _, last = rest.rpartition(":")
    quantity = _quantity(last)
    if quantity is not None:
        return Gres(name, kind or None, quantity)
    if not last or kind:
        raise BadValue("Invalid Trackable RESource (TRES) specification", exit_code=1)
    return Gres(name, last, bare=True)


def _quantity(text: str) -> int | None:
    factor = _FACTORS.get(text[-1:].upper(), 1)
    digits = text if factor == 1 else text[:-1]
    return int(digits) * factor if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


NICE_LIMIT = 2147483645


def nice(text: str) -> int:
    """Text counts as 0, nothing as 100, as Slurm's C reads it."""
    number = leading_integer(text) if text else 100
    if abs(number) > NICE_LIMIT:
        raise BadValue(f"Invalid --nice value, out of range (+/- {NICE_LIMIT})")
    return number


PRIORITY_TOP = 4294967294


def priority(text: str) -> int:
    if text.upper() == "TOP":
        return PRIORITY_TOP - 1
    number = leading_integer(text)
    if number < 0:
        raise BadValue("Priority must be >= 0")
    if number >= PRIORITY_TOP:
        raise BadValue(f"Priority must be < {PRIORITY_TOP}")
    return number


def leading_integer(text: str) -> int:
    """What C's strtoll makes of it: the number at the front, 0 without one."""
    body = text.lstrip()
    sign = -1 if body[:1] == "-" else 1
    body = body[1:] if body[:1] in ("-", "+") else body
    digits = 0
    while digits < len(body) and digits < 19 and body[digits] in "0123456789":
        digits += 1
    return sign * int(body[:digits] or 0)
