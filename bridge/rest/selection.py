"""Job ids in paths and queries: `12`, `12_3`, `12_[1-5]`."""

from adapters.slurm import selectors
from bridge.core.errors import NotFound, Refused
from bridge.core.job import Job, JobKey
from bridge.core.users import Caller
from bridge.service.service import Service
from bridge.service.terms import Selector

MAX_ID_CHARACTERS = 2000
MAX_TASKS = 1000


def read(text: str, field: str = "job_id") -> Selector:
    found = selectors.parse(text) if len(text) <= MAX_ID_CHARACTERS else None
    if found is None or found.step is not None:
        raise NotFound(f"{text[:60]!r} is no job id; expected 12, 12_3 or 12_[1-5]", code="invalid_job_id", field=field)
    return Selector(found.id, found.tasks)


def read_key(text: str, field: str) -> JobKey:
    """One job or task, such as a page's end."""
    selector = read(text, field)
    if selector.tasks is None:
        return JobKey(selector.id)
    if len(selector.tasks) != 1:
        raise Refused(f"{text[:60]!r} is more than one task", code="one_job_needed", field=field)
    return JobKey(selector.id, next(iter(selector.tasks)))


def split(text: str) -> list[str]:
    return selectors.split(text)


def keys(text: str) -> list[JobKey]:
    """What a list's id stands for."""
    selector = read(text, "ids")
    if selector.tasks is None:
        return [JobKey(selector.id)]
    if len(selector.tasks) > MAX_TASKS:
        raise Refused(f"{text[:60]!r} is more than {MAX_TASKS} tasks", code="invalid_value", field="ids")
    return [JobKey(selector.id, index) for index in selector.tasks]


async def one_job(service: Service, caller: Caller, text: str) -> Job:
    found = await service.show(caller, read(text))
    if len(found) != 1 or found[0].is_array:
        raise Refused(f"{text} is an array; name one of its tasks", code="one_job_needed", field="job_id")
    return found[0]
