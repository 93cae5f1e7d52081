"""The backends of this process, and the leases under which it owns some of them."""

import asyncio
from collections.abc import Mapping

from bridge.backends.port import Backend
from bridge.core.job import Job
from bridge.core.nodes import Site
from bridge.service.service import Service
from bridge.store.records import Fence


class Holdings:
    def __init__(self, backends: Mapping[str, Backend], service: Service) -> None:
        self.backends = backends
        self.fences: dict[str, Fence] = {}
        """Of the backends that are ours now, by name."""
        self.handover = {name: asyncio.Lock() for name in backends}
        """Held while a backend starts or forgets attempts: a start is decided on rows that no forgetting overtakes."""
        self._service = service

    @property
    def site(self) -> Site:
        """The service's, which an operator may have read again at any time."""
        return self._service.site

    def name_of(self, job: Job) -> str:
        """The backend that serves the job's partition; empty where there is none any more."""
        partition = self.site.partition(job.partition)
        return partition.backend if partition else ""

    async def forget(self, name: str, job_id: int, attempt: int) -> None:
        """The attempt's end is on record. Raises what the backend raises; Gone where it kept nothing."""
        async with self.handover[name]:
            await self.backends[name].forget(job_id, attempt)
