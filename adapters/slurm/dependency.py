"""`afterok:12:13,afterany:14_2` and back: --dependency as text and as a record.

By sbatch's manual page and 25.11's answers: `,` needs all parts, `?` one of them, mixed is refused; types
in any case; a bare id means afterany; an empty text or `0` means none.
"""

from collections.abc import Sequence

from bridge.core.dag import Answer, Clause, Dependency, Kind

_KINDS = {str(kind): kind for kind in Kind}
_SHOWN = {Answer.WAIT: "(unfulfilled)", Answer.NEVER: "(failed)"}


class BadDependency(ValueError):
    """Says which part is wrong."""


def parse(text: str) -> Dependency | None:
    """None: no dependency. Raises BadDependency."""
    text = text.strip()
    if text in ("", "0"):
        return None
    if "," in text and "?" in text:
        raise BadDependency(f"{text!r} mixes , and ?")
    any_of = "?" in text
    clauses: list[Clause] = []
    for part in text.split("?" if any_of else ","):
        clauses += _parse_part(part)
    return Dependency(tuple(clauses), any_of)


def _parse_part(part: str) -> list[Clause]:
    name, colon, targets = part.partition(":")
    kind = _KINDS.get(name.lower())
    if kind is Kind.SINGLETON:
        if colon:
            raise BadDependency(f"singleton takes no job id: {part!r}")
        return [Clause(kind)]
    if kind is None and not colon:
        return [_parse_target(Kind.AFTER_ANY, part)]
    if kind is None or not targets:
        raise BadDependency(f"not a dependency: {part!r}")
    return [_parse_target(kind, target) for target in targets.split(":")]


def _parse_target(kind: Kind, text: str) -> Clause:
    body, plus, minutes = text.partition("+")
    job, underscore, task = body.partition("_")
    if plus and (kind is not Kind.AFTER or not _is_number(minutes)):
        raise BadDependency(f"not a delay in minutes: {text!r}")
    if not _is_number(job) or int(job) == 0:
        raise BadDependency(f"not a job id: {text!r}")
    if underscore and task != "*" and not _is_number(task):
        raise BadDependency(f"not a task index: {text!r}")
    index = int(task) if underscore and task != "*" else None
    return Clause(kind, int(job), index, int(minutes) if plus else 0, whole_array=task == "*")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def render(dependency: Dependency, states: Sequence[Answer]) -> str:
    """What is left of it, as squeue and scontrol show it; satisfied parts vanish. Empty: nothing is left."""
    separator = "?" if dependency.any_of else ","
    left = [
        _clause_text(clause) + _SHOWN[state]
        for clause, state in zip(dependency.clauses, states, strict=True)
        if state is not Answer.READY
    ]
    return separator.join(left)


def text_of(dependency: Dependency) -> str:
    """As it would be written on the command line."""
    return ("?" if dependency.any_of else ",").join(_clause_text(clause) for clause in dependency.clauses)


def _clause_text(clause: Clause) -> str:
    if clause.job_id is None:
        return str(clause.kind)
    text = f"{clause.kind}:{clause.job_id}"
    if clause.task is not None:
        text += f"_{clause.task}"
    elif clause.whole_array:
        text += "_*"
    return f"{text}+{clause.delay_minutes}" if clause.delay_minutes else text
