"""What front ends bring to the service, and what they get back."""

import dataclasses
from dataclasses import dataclass

from bridge.core.errors import BridgeError
from bridge.core.indexset import IndexSet
from bridge.core.job import Job
from bridge.core.report import Report
from bridge.core.request import JobRequest


@dataclass(frozen=True, slots=True)
class Selector:
    """`12`, `12_3`, `12_[1-5]`, or the raw id of an array's task."""

    id: int
    tasks: IndexSet | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What a front end brings: a request with its blobs and the report of how it was read."""

    request: JobRequest
    script: bytes
    environment: bytes = dataclasses.field(repr=False)
    report: Report = Report()
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one job of a selection."""

    selector: Selector
    job: Job | None
    error: BridgeError | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    job_id: int
    """Used up, as in Slurm: no job will have it."""
    start_at: float
    cpus: int
    node_list: tuple[str, ...]
    partition: str
