"""Dependencies as -d takes them and as Slurm shows them: `afterok:12:13+5,singleton`.

Whether a target exists, and whether an id is a whole array, is the service's business.
"""

from collections.abc import Sequence

from bridge.core import dag, indexset
from bridge.core.errors import Refused

_KINDS = {kind.value: kind for kind in dag.Kind}

_STATES = {dag.Answer.WAIT: "unfulfilled", dag.Answer.NEVER: "failed"}


def parse(text: str) -> dag.Dependency | None:
    """None for no dependency (empty or `0`). Refused (bad_dependency) for what cannot be read."""
    if text in ("", "0"):
        return None
    any_of = "?" in text
    if any_of and "," in text:
        raise _refused(text, "either commas (all must hold) or question marks (one is enough), not both")
    clauses: dict[tuple[object, ...], dag.Clause] = {}
    for part in _parts(text, "?" if any_of else ","):
        for clause in _clauses(part, text):
            # Of the same job named twice the first counts, its delay too.
            clauses.setdefault((clause.kind, clause.job_id, clause.task, clause.whole_array), clause)
    return dag.Dependency(tuple(clauses.values()), any_of)


def _parts(text: str, separator: str) -> list[str]:
    """At separators outside the brackets of array tasks."""
    parts = [""]
    for piece in text.split(separator):
        if parts[-1].count("[") > parts[-1].count("]"):
            parts[-1] += separator + piece
        else:
            parts.append(piece)
    return parts[1:]


def _clauses(part: str, text: str) -> list[dag.Clause]:
    word, colon, rest = part.partition(":")
    if not colon and word[:1].isdigit():
        return _targets(dag.Kind.AFTER_ANY, word, text)
    if word.lower() == "expand" and rest:
        raise Refused("a job cannot be expanded by another", code="not_supported", field="dependency")
    kind = _KINDS.get(word.lower())
    if kind is None:
        raise _refused(text, f"{word!r} is no kind of dependency")
    if kind is dag.Kind.SINGLETON:
        if colon:
            raise _refused(text, "singleton takes no job id")
        return [dag.Clause(kind)]
    if not colon:
        raise _refused(text, f"{word} needs a job id")
    return [clause for target in rest.split(":") for clause in _targets(kind, target, text)]


def _targets(kind: dag.Kind, word: str, text: str) -> list[dag.Clause]:
    """`12`, `12_3`, `12_*`, `12_[1-3,5]`, each with `+minutes`"""
    target, plus, delay = word.lstrip(" ").partition("+")
    job, underscore, task = target.partition("_")
    whole = underscore != "" and task == "*"
    if not _is_number(job) or int(job) == 0:
        raise _refused(text, f"{job!r} is no job id")
    if plus and (not _is_number(delay) or int(delay) == 0):
        raise _refused(text, f"{delay!r} is no number of minutes")
    minutes = int(delay) if plus else 0
    if not underscore or whole:
        return [dag.Clause(kind, int(job), None, minutes, whole)]
    return [dag.Clause(kind, int(job), index, minutes) for index in _tasks(task, text)]


_MOST_TASKS = 1000
"""In one pair of brackets: each becomes a clause of its own. Of a whole array no task is named."""


def _tasks(task: str, text: str) -> list[int]:
    if _is_number(task):
        return [int(task)]
    if task.startswith("[") and task.endswith("]"):
        try:
            chosen = indexset.parse(task[1:-1])
        except ValueError:
            chosen = indexset.IndexSet()
        if 0 < len(chosen) <= _MOST_TASKS:
            return list(chosen)
    raise _refused(text, f"{task!r} is no task of an array")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11


def _refused(text: str, why: str) -> Refused:
    return Refused(f"cannot read the dependency {text!r}: {why}", code="bad_dependency", field="dependency")


def render(dependency: dag.Dependency | None, states: Sequence[dag.Answer] = ()) -> str | None:
    """`afterok:12(unfulfilled),afterany:13(unfulfilled)`: what is not yet satisfied; None when nothing is left.

    `states` belong to the clauses in order (`dag.Verdict.states`); without them all wait.
    """
    if dependency is None:
        return None
    told = states or (dag.Answer.WAIT,) * len(dependency.clauses)
    left = [
        f"{render_clause(clause)}({_STATES[state]})"
        for clause, state in zip(dependency.clauses, told, strict=True)
        if state is not dag.Answer.READY
    ]
    return ("?" if dependency.any_of else ",").join(left) or None


def render_clause(clause: dag.Clause) -> str:
    if clause.job_id is None:
        return clause.kind.value
    task = "_*" if clause.whole_array else f"_{clause.task}" if clause.task is not None else ""
    delay = f"+{clause.delay_minutes}" if clause.delay_minutes else ""
    return f"{clause.kind.value}:{clause.job_id}{task}{delay}"
