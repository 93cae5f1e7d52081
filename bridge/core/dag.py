"""The dependency graph: clauses, and whether a job may start.

Pure. The caller says how the targets stand (`Target`); this says ready, wait or never, and which
clauses are left. Meaning of the kinds: Slurm's manual page of sbatch, --dependency.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    AFTER = "after"
    AFTER_ANY = "afterany"
    AFTER_OK = "afterok"
    AFTER_NOT_OK = "afternotok"
    AFTER_CORR = "aftercorr"
    AFTER_BURST_BUFFER = "afterburstbuffer"
    SINGLETON = "singleton"


@dataclass(frozen=True, slots=True)
class Clause:
    kind: Kind
    job_id: int | None = None
    """None for singleton only."""
    task: int | None = None
    """Index of an array task; None for a plain job or a whole array."""
    delay_minutes: int = 0
    """`after:12+5`: so long after the start of the target."""
    whole_array: bool = False
    """The target is an array: shown as `12_*`. Filled at submission."""


@dataclass(frozen=True, slots=True)
class Dependency:
    clauses: tuple[Clause, ...]
    any_of: bool = False
    """True when the clauses were joined by `?`: one is enough."""


class Answer(StrEnum):
    READY = "ready"
    WAIT = "wait"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Target:
    """How a target stands. For a whole array: over all its tasks."""

    started: bool
    """Began, or ended without ever beginning; for an array, every task."""
    started_at: float | None
    """Epoch seconds of the (last) start; None when it never began."""
    ended: bool
    """For an array, every task."""
    failed: bool
    """Ended otherwise than COMPLETED; for an array, at least one task did."""


Look = Callable[[Clause], Target | None]
"""None: the target is not known (never was, or purged)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    answer: Answer
    states: tuple[Answer, ...]
    """For each clause of the dependency, in order: READY (satisfied), WAIT (unfulfilled), NEVER (failed)."""
    again_at: float | None = None
    """When a `+minutes` delay runs out, if that is the next thing to happen."""


def judge(dependency: Dependency, look: Look, now: float) -> Verdict:
    """Whether the dependency holds at `now` (epoch seconds)."""
    judged = [_judge_clause(clause, look(clause), now) for clause in dependency.clauses]
    states = tuple(state for state, _ in judged)
    times = [at for _, at in judged if at is not None]
    if dependency.any_of:
        answer = (
            Answer.READY
            if Answer.READY in states or not states
            else Answer.NEVER
            if all(s is Answer.NEVER for s in states)
            else Answer.WAIT
        )
    else:
        answer = (
            Answer.NEVER
            if Answer.NEVER in states
            else Answer.READY
            if all(s is Answer.READY for s in states)
            else Answer.WAIT
        )
    return Verdict(answer, states, min(times, default=None))


def _judge_clause(clause: Clause, target: Target | None, now: float) -> tuple[Answer, float | None]:
    if target is None:
        # An unknown target of afterok is refused at submission; one purged since then cannot succeed any more.
        lost = clause.kind in (Kind.AFTER_OK, Kind.AFTER_NOT_OK)
        return (Answer.NEVER if lost else Answer.READY), None
    match clause.kind:
        case Kind.AFTER:
            if not target.started:
                return Answer.WAIT, None
            due = (target.started_at or 0.0) + 60 * clause.delay_minutes
            return (Answer.READY, None) if target.started_at is None or due <= now else (Answer.WAIT, due)
        case Kind.AFTER_ANY | Kind.AFTER_BURST_BUFFER | Kind.SINGLETON:
            return (Answer.READY if target.ended else Answer.WAIT), None
        case Kind.AFTER_OK | Kind.AFTER_CORR:
            if target.ended:
                return (Answer.NEVER if target.failed else Answer.READY), None
            return Answer.WAIT, None
        case Kind.AFTER_NOT_OK:
            if target.ended:
                return (Answer.READY if target.failed else Answer.NEVER), None
            return Answer.WAIT, None


def find_cycle(edges: Mapping[int, Iterable[int]], start: int) -> list[int] | None:
    """A way from `start` back to itself along `edges` (job id → ids it waits for), or None.

    The list begins and ends with `start`.
    """
    back: dict[int, int] = {}
    todo = [start]
    while todo:
        node = todo.pop()
        for target in edges.get(node, ()):
            if target == start:
                way = [start, node]
                while way[-1] != start:
                    way.append(back[way[-1]])
                return way[::-1] if node != start else [start, start]
            if target not in back:
                back[target] = node
                todo.append(target)
    return None
