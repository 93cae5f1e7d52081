"""What cannot agree between a recording and a replay, each kind by one rule with its reason.

A recorded text holds placeholders such as {JOBID}. It is turned into a pattern in which every placeholder that the
replay knows stands for exactly that value, and the others for anything of their form; all else is compared letter
for letter. Nothing here knows a case.
"""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_PLACEHOLDER = re.compile(r"\{([A-Z][A-Z_]*\d*)(?::0(\d+)|([+~-][~\d]*s?))?\}")
"""{JOBID}, {JOBID2}, {JOBID:09}, {TODAY+1}, {SUBMIT+~3600s}. Not a shell's ${PATH:+set}."""

_DATE = r"\d{4}-\d\d-\d\d"
_TIME = _DATE + r"T\d\d:\d\d:\d\d(?:\.\d+)?"

FORMS: dict[str, tuple[str, str]] = {
    # placeholder: (regular expression, why it cannot agree)
    "JOBID": (r"\d+", "ids are numbered by who gives them; an id that a case told before is compared exactly"),
    "TASKJOBID": (r"\d+", "as JOBID: the id behind an array's task or a component"),
    "TIME": (_TIME, "when the replay runs"),
    "SUBMIT": (_TIME, "the same; how much later it is, is compared where the record tells both"),
    "DATE": (r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "the same, as `date` writes it"),
    "ELAPSED": (r"(?:\d+-)?(?:\d+:)?\d+:\d\d", "how fast the machine is"),
    "EPOCH": (r"\d{10}", "when the replay runs"),
    "NODE": (r"n[1-4]", "the recording says that the choice of node is not part of the case"),
    "NODES": (r"n[\d,\[\]n-]+", "the same of several"),
    "HOW": (r"Main|Backfill|Submit", "which of the scheduler's passes came first"),
    "UNLIMITED": (r"UNLIMITED|365-00:00:00", "a real Slurm shows either, with neither --time nor a partition's limit"),
    "PID": (r" *\d+", "process ids are the host's; bash sets short ones to the right"),
    "SID": (r"\d+", "session ids are the host's"),
    "LOAD": (r"(?:\d+\.\d\d|N/A)", "the host's load"),
    "MB": (r"(?:\d+|N/A)", "the host's free memory"),
    "SLUID": (r"s?[0-9A-Za-z]+", "made from the clock"),
    "PROTO": (r"\d+", "the wire's version is each implementation's own"),
    "KERNEL": (r".+", "the host's kernel"),
    "CTLD_ADDR": (r"\S+", "the host's address"),
    "USEC": (r"\d+", "how fast the machine is"),
    "CLIENT": (r".*", "the address and port that a connection came from"),
    "SPOOL": (r"/\S+?", "paths of the site"),
    "ETC": (r"/\S+?", "paths of the site"),
    "STATE": (r"/\S+?", "paths of the site"),
    "BIN": (r"/\S+?", "paths of the site"),
    "LOG": (r"/\S+?", "paths of the site"),
}

LITERALS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    # (what stands in a recording, what may stand in its place, why)
    (re.compile(r"\b25\.11\.8\b"), r"25\.11\.\d+", "Slurm's own version: every release of 25.11 speaks the same words"),
    (re.compile(r"(?<![\d:-])0:0[1-9](?![\d:])"), r"0:0\d", "seconds that a job has run: a look falls on either side"),
    (re.compile(r" Port=\d+"), r"(?: Port=\d+)?", "told of a node whose daemon has another port than Slurm's own"),
)

SCRIPT = (re.compile(r"\{SPOOL\}/\S+/slurm_script"), r"/\S+/slurm_script", "where a site keeps its copy of a script")
"""Placeholders and all: how the folders in between are named is the site's too."""

CUT = "…"
"""Ends a text of which the recording holds the beginning only."""

SUBMIT_TOLERANCE_SECONDS = 15
"""`about that much later`: the recording's own clock ran between the command and the look."""


@dataclass(frozen=True)
class Known:
    """Values of the replay's placeholders: USER, CWD, JOBID2, ..."""

    values: Mapping[str, str]
    today: datetime.date
    submitted_at: datetime.datetime | None = None
    """Of the job whose record is compared, for {SUBMIT+~60s}."""


def fill(text: str, known: Known) -> str:
    """For what is put in: placeholders that are not known stay."""

    def value(match: re.Match[str]) -> str:
        name, width, offset = match.groups()
        found = None if offset else known.values.get(name)
        return match[0] if found is None else found.zfill(int(width or 0))

    return _PLACEHOLDER.sub(value, text)


def recorded_output(text: str) -> str:
    """Every command ends its last line: where a recording does not, it holds the beginning of what was printed."""
    return text if not text or text.endswith(("\n", CUT)) else text + CUT


def matches(expected: str, actual: str, known: Known) -> bool:
    """May be asked of whole outputs: a line end is compared too."""
    if expected == actual:
        return True
    pattern = _Pattern(known)
    is_cut = expected.endswith(CUT)
    match = re.match if is_cut else re.fullmatch
    found = match(pattern.of(expected.removesuffix(CUT)), actual)
    return found is not None and all(check(found[group]) for group, check in pattern.checks.items())


class _Pattern:
    def __init__(self, known: Known) -> None:
        self._known = known
        self.checks: dict[str, Callable[[str], bool]] = {}

    def of(self, text: str) -> str:
        script = SCRIPT[0].search(text)
        if script is not None:
            return self.of(text[: script.start()]) + SCRIPT[1] + self.of(text[script.end() :])
        parts, at = [], 0
        for match in _PLACEHOLDER.finditer(text):
            form = self._form(*match.groups())
            if form is not None:
                parts += [_literal(text[at : match.start()]), form]
                at = match.end()
        return "".join([*parts, _literal(text[at:])])

    def _form(self, name: str, width: str | None, offset: str | None) -> str | None:
        """None: no placeholder of the recording's, so it is compared as it stands."""
        if name == "TODAY":
            return self._today(offset)
        if name == "SUBMIT" and offset:
            return self._later(int(re.sub(r"\D", "", offset)))
        known = self._known.values.get(name)
        if known is not None:
            return re.escape(known.zfill(int(width or 0)))
        form = FORMS.get(name.rstrip("0123456789"))
        return f"(?:{form[0]})" if form else None

    def _today(self, offset: str | None) -> str:
        """`--begin=16:00` is today or tomorrow by the hour at which it is said, in the recording and here."""
        days = (self._known.today + datetime.timedelta(days=day) for day in (0, 1, int(offset or 0)))
        return "(?:" + "|".join(sorted({day.isoformat() for day in days})) + ")"

    def _later(self, seconds: int) -> str:
        group = f"later{len(self.checks)}"
        submitted_at = self._known.submitted_at

        def is_that_much_later(text: str) -> bool:
            if submitted_at is None:
                return True
            later = datetime.datetime.fromisoformat(text) - submitted_at
            return abs(later.total_seconds() - seconds) <= SUBMIT_TOLERANCE_SECONDS

        self.checks[group] = is_that_much_later
        return f"(?P<{group}>{_TIME})"


def _literal(text: str) -> str:
    """Letter for letter, but for the LITERALS."""
    for literal, form, _ in LITERALS:
        if literal.search(text):
            before, _, after = text.partition(_found(literal, text))
            return _literal(before) + form + _literal(after)
    return re.escape(text)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    assert match is not None
    return match[0]


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────

_RELEASE = re.compile(r"\.slurm\.(version\.micro|release)$")
_RECORDS = frozenset({"jobs", "partitions", "nodes"})
"""Recordings hold the first records of such a list, and chosen keys of them."""


def json_differences(expected: Any, actual: Any, known: Known, path: str) -> list[tuple[str, Any, Any]]:
    """(path, expected, actual)"""
    if _RELEASE.search(path):  # Slurm's own version
        return []
    if isinstance(expected, str):
        return [] if _same_text(expected, actual, known) else [(path, fill(expected, known), actual)]
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _differences_of_objects(expected, actual, known, path)
    if isinstance(expected, list) and isinstance(actual, list):
        if len(actual) != len(expected) and not (_is_records(path) and len(actual) > len(expected)):
            return [(path, expected, actual)]
        pairs = enumerate(zip(expected, actual, strict=False))
        return [found for at, (a, b) in pairs for found in json_differences(a, b, known, f"{path}[{at}]")]
    return (
        []
        if expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
        else [(path, expected, actual)]
    )


def _same_text(expected: str, actual: Any, known: Known) -> bool:
    """A placeholder may stand for a number."""
    if isinstance(actual, str):
        return matches(expected, actual, known)
    is_number = isinstance(actual, int) and not isinstance(actual, bool)
    return is_number and _PLACEHOLDER.fullmatch(expected) is not None and matches(expected, str(actual), known)


def _differences_of_objects(
    expected: Mapping[str, Any], actual: Mapping[str, Any], known: Known, path: str
) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for key, value in expected.items():
        if key not in actual:
            found.append((f"{path}.{key}", value, None))
        else:
            found += json_differences(value, actual[key], known, f"{path}.{key}")
    if not _is_records(re.sub(r"\[\d+\]$", "", path)):
        found += [(f"{path}.{key}", None, repr(actual[key])) for key in actual if key not in expected]
    return found


def _is_records(path: str) -> bool:
    return path.rpartition(".")[2] in _RECORDS
