"""Jobs as pods of a Kubernetes cluster.

The bridge may come and go: what runs is in the cluster's objects, how it ended is in the pods' termination messages,
and a finalizer of ours keeps each pod until its end is committed. An attempt starts at most once: its Job is named
after it, needs the one Secret that it was made with, and Kubernetes is told never to replace a pod.

    launching   makes the objects            watching   what the cluster tells, into the book
    ending      ends and removes them        patience   clocks over what waits and what may be lost
    gang        lets all pods of a job be placed, or none
"""

import asyncio
import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from adapters.kubernetes import names
from adapters.kubernetes.profile import Profile
from bridge.backends.kubernetes import discovery, files, hosts
from bridge.backends.kubernetes.attempts import Attempt
from bridge.backends.kubernetes.book import Book
from bridge.backends.kubernetes.collecting import Collector
from bridge.backends.kubernetes.ending import Ender
from bridge.backends.kubernetes.gang import Gang
from bridge.backends.kubernetes.launching import Launcher
from bridge.backends.kubernetes.outputs import Outputs, Stream
from bridge.backends.kubernetes.patience import Patience
from bridge.backends.kubernetes.tasks import Tasks
from bridge.backends.kubernetes.transport import Access, Transport
from bridge.backends.kubernetes.watching import Watch
from bridge.backends.port import Observation, Rights, Target, TaskUsage
from bridge.core.errors import BridgeError, Gone, Unavailable
from bridge.core.group import Group
from bridge.core.job import Job
from bridge.core.nodes import Node

log = logging.getLogger(__name__)

_OPEN_SECONDS = 60.0
_DISCOVER_SECONDS, _AWAY_SECONDS = 300.0, 2.0


class KubernetesBackend:
    def __init__(
        self,
        name: str,
        access: Access,
        instance: str,
        profiles: Mapping[str, Profile],
        nodes: Sequence[Node],
        call_back: tuple[str, str] | None = None,
        output_folder: str = "",
    ) -> None:
        """`profiles`: by partition. `nodes`: as the site file knows them; their names are the cluster's.
        `call_back`: the bridge's address for commands inside of jobs, and the file with its certificate.
        `output_folder`: for output that no volume takes."""
        self.name = name
        self.book = Book()
        self._instance = instance
        self._profiles = dict(profiles)
        self._site_nodes = tuple(nodes)
        self._hosts = hosts.required(profiles.values(), nodes)
        self._namespaces = sorted({profile.namespace for profile in profiles.values()})
        self._call_back = call_back
        self._tasks = Tasks()
        self._transport = Transport(access)
        self._ender = Ender(self._transport, self.book)
        self._outputs = Outputs(pathlib.Path(output_folder))
        self._collector = Collector(self._transport, self.book, self._ender, self._outputs)
        self._watch = Watch(
            self._transport, self.book, self._ender, self._collector, self._tasks, instance, self._namespaces
        )
        self._launcher = Launcher(self._transport, self.book, self._profiles, self._watch.broken)
        self._gang = Gang(self._transport, self.book, self._profiles)
        self._patience = Patience(self.book, self._watch, self._ender, self._profiles)

    # ── open and close ────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        try:
            await self._transport.open()
            await self._say_where_we_are()
            found = await discovery.discover(self._transport, self._namespaces[0])
            self._launcher.capabilities = found
            log.info("what the cluster can do", extra=dataclasses.asdict(found))
            self._watch.start()
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._watch.first_pictures()
            await self._watch.sweep()
        except TimeoutError:
            await self.close()
            raise Unavailable("the Kubernetes cluster did not list what it has within a minute") from None
        except BridgeError as error:
            await self.close()
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(f"the Kubernetes cluster cannot be used: {error.sentence}") from error
        self._tasks.spawn(self._patience.keep())
        self._tasks.spawn(self._gang.keep())
        self._tasks.spawn(self._keep_discovering())
        self._tasks.spawn(self._probe_image_volumes())

    async def _keep_discovering(self) -> None:
        """What the cluster can do may change under us: after every break, and every few minutes, it is asked again."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._watch.broken.wait(), _DISCOVER_SECONDS)
            self._watch.broken.clear()
            try:
                found = await discovery.discover(self._transport, self._namespaces[0])
            except BridgeError:
                self._watch.broken.set()
                await asyncio.sleep(_AWAY_SECONDS)
                continue
            before = self._launcher.capabilities
            found = replace(found, image_volume=before.image_volume)
            if found != before:
                log.warning("the cluster can do other things than before", extra=dataclasses.asdict(found))
                self._launcher.capabilities = found

    async def _probe_image_volumes(self) -> None:
        """Until the answer is there the agent is copied. One partition stands for all: the cluster's runtime is one."""
        probed = next((one for one in self._profiles.values() if one.bridge_image is not None), None)
        if probed is None:
            return
        with contextlib.suppress(BridgeError):
            answer = await discovery.image_volumes_work(self._transport, probed)
            self._launcher.capabilities = replace(self._launcher.capabilities, image_volume=answer)
            log.info("whether agents come as image volumes", extra={"answer": answer})

    async def close(self) -> None:
        await self._tasks.cancel()
        self._watch.clear()
        self._collector.clear()
        self._launcher.clear()
        self.book.clear()
        await self._transport.close()

    async def _say_where_we_are(self) -> None:
        if self._call_back is None:
            return
        url, file = self._call_back
        try:
            certificate = await asyncio.to_thread(pathlib.Path(file).read_text)
        except OSError as error:
            log.warning("jobs cannot check the bridge's certificate", extra={"file": file, "why": str(error)})
            certificate = ""
        for name, profile in self._profiles.items():
            self._profiles[name] = replace(profile, bridge_url=url, bridge_ca=certificate)

    # ── start and observe ─────────────────────────────────────────────────────────────────────────

    async def start(self, groups: Sequence[Group]) -> None:
        await self._launcher.start(groups)

    async def observe(self) -> AsyncIterator[Observation]:
        book = self.book
        book.is_gap = True
        while True:
            nodes_changed, book.nodes_changed = book.nodes_changed, False
            if book.is_gap and self._watch.is_current:
                self._watch.forget_vanished()
                everything = []
                for attempt in book.take_all():
                    everything.append(attempt.sighting())
                    attempt.tell(everything[-1])
                yield Observation(tuple(everything), full=True, nodes_changed=nodes_changed)
                continue
            news = []
            for attempt in book.take_changed():
                sighting = attempt.news()
                if sighting is not None:
                    attempt.tell(sighting)
                    news.append(sighting)
            if news or nodes_changed:
                yield Observation(tuple(news), nodes_changed=nodes_changed)
            elif not book.has_changes:
                book.news.clear()
                await book.news.wait()

    # ── wishes ────────────────────────────────────────────────────────────────────────────────────

    async def signal(self, job_id: int, attempt: int, number: int, to: Target) -> None:
        await self._ender.ask(self._known(job_id, attempt), {"do": "signal", "number": number, "to": to})

    async def measure(self, job_id: int, attempt: int) -> tuple[TaskUsage, ...]:
        return await self._ender.measure(self._known(job_id, attempt))

    async def set_time_limit(self, job_id: int, attempt: int, time_limit_seconds: int | None) -> None:
        await self._ender.ask(self._known(job_id, attempt), {"do": "time_limit", "seconds": time_limit_seconds})

    async def pause(self, job_id: int, attempt: int, *, resume: bool) -> None:
        await self._ender.ask(self._known(job_id, attempt), {"do": "resume" if resume else "pause"})

    def _known(self, job_id: int, number: int) -> Attempt:
        attempt = self.book.attempts.get((job_id, number))
        if attempt is None:
            raise Gone(f"attempt {number} of job {job_id} does not run here")
        return attempt

    # ── end ───────────────────────────────────────────────────────────────────────────────────────

    async def stop(self, job_id: int, attempt: int, why: Literal["cancel", "requeue", "node_fail"]) -> None:
        found = self.book.attempts.get((job_id, attempt))
        if found is None:
            if not self._watch.is_current:
                raise Unavailable("what the cluster has is being listed again")
            # Perhaps a Secret is there, whose Job was never made.
            await self._delete_by_name(job_id, attempt)
            raise Gone(f"nothing of attempt {attempt} of job {job_id} is here")
        found.stop_asked = True
        if found.first_pod is not None:
            if why != "cancel":
                # The signal that ends a pod says no more than that; the job's output is to say why.
                with contextlib.suppress(BridgeError):
                    await self._ender.ask(found, {"do": "stop", "why": why})
            await self._ender.end_pods(found)
        else:
            await self._ender.take_back(found)

    async def forget(self, job_id: int, attempt: int) -> None:
        found = self.book.attempts.get((job_id, attempt))
        if found is None:
            await self._delete_by_name(job_id, attempt)
        else:
            await self._ender.forget(found)

    async def _delete_by_name(self, job_id: int, attempt: int) -> None:
        selector = f"{names.GROUP}={names.group_name(self._instance, job_id, attempt)}"
        for namespace in self._namespaces:
            await self._transport.delete_all(f"/api/v1/namespaces/{namespace}/secrets", selector)

    # ── looks ─────────────────────────────────────────────────────────────────────────────────────

    async def nodes(self) -> tuple[Node, ...]:
        reflector = self._watch.nodes
        if reflector is None or not reflector.is_current:
            return self._site_nodes
        return hosts.as_they_are(self._site_nodes, self._hosts, reflector.objects)

    async def read_output(self, rights: Rights, path: str, offset: int, limit_bytes: int) -> bytes:
        return await files.read(rights, path, offset, limit_bytes)

    async def read_kept(self, job: Job, stream: Stream, path: str, offset: int, limit_bytes: int) -> bytes | None:
        profile = self._profiles.get(job.partition)
        if profile is None or profile.takes(path):
            return None
        attempt = self.book.attempts.get((job.id, job.attempt))
        if attempt is not None and not attempt.is_settled:
            await self._collector.fetch_at_times(attempt)
        found = await asyncio.to_thread(self._outputs.read, job.id, stream, offset, limit_bytes)
        if found is None:
            raise Gone(f"{path} is in no volume of the partition {job.partition}, and nothing of it has come yet")
        return found

    async def retain(self, known: Callable[[Collection[int]], Awaitable[Collection[int]]]) -> None:
        there = await asyncio.to_thread(lambda: self._outputs.jobs)
        if there:
            await asyncio.to_thread(self._outputs.forget, set(await known(there)))
