"""Job ids as people write them: `12`, `12_3`, `12_[1-5,9]`, `12.0`, `12_3.batch`."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core import indexset
from bridge.core.indexset import IndexSet

MAX_JOB_ID = 2**63 - 1
MAX_TASK_INDEX = 4_000_000
"""Slurm's own bound for MaxArraySize."""


@dataclass(frozen=True, slots=True)
class Selected:
    id: int
    tasks: IndexSet | None = None
    step: str | None = None
    """`0`, `batch`, `extern`; None: the job."""

    def __str__(self) -> str:
        text = str(self.id)
        if self.tasks is not None:
            text += f"_{self.tasks}" if len(self.tasks) == 1 else f"_[{self.tasks}]"
        return text


def parse(text: str) -> Selected | None:
    """None when it is no id. `12_` is the task 0, as C reads a number that is not there."""
    job, dot, step = text.partition(".")
    number, underscore, tasks_text = job.partition("_")
    if not _is_number(number):
        return None
    tasks = _tasks(tasks_text or "0") if underscore else None
    if underscore and tasks is None:
        return None
    if dot and not (step in ("batch", "extern", "interactive") or _is_number(step)):
        return None
    identifier = int(number)
    return Selected(identifier, tasks, step or None) if 0 < identifier <= MAX_JOB_ID else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19


def _tasks(text: str) -> IndexSet | None:
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    elif not _is_number(text):
        return None
    text = text.partition("%")[0]
    try:
        tasks = indexset.parse(text)
    except ValueError:
        return None
    return tasks if tasks and tasks.maximum <= MAX_TASK_INDEX and tasks.minimum >= 0 else None


def split(text: str) -> list[str]:
    """The ids of a list, whose brackets may hold commas."""
    words: list[str] = []
    depth = 0
    word = ""
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth <= 0:
            words.append(word)
            word = ""
        else:
            word += character
    words.append(word)
    return [word for word in words if word]


def narrow(waiting: IndexSet, task_index: int | None, chosen: Sequence[Selected]) -> IndexSet | bool:
    """What of an array's record, or of one task, is among the chosen ones.

    For a task (or a plain job): True or False. For a record with waiting tasks: those chosen of them.
    """
    if any(selected.tasks is None for selected in chosen):
        return waiting or True
    sets = [selected.tasks for selected in chosen if selected.tasks is not None]
    if task_index is not None or not waiting:
        return any(task_index in tasks for tasks in sets)
    return indexset.union([waiting.intersection(tasks) for tasks in sets])
