"""What the cluster tells: watches over our Jobs and pods, their events, the nodes; and the journals in pods' logs."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from adapters.kubernetes import names, standing
from bridge.backends.kubernetes import pictures
from bridge.backends.kubernetes.attempts import Attempt
from bridge.backends.kubernetes.book import Book
from bridge.backends.kubernetes.collecting import Collector
from bridge.backends.kubernetes.ending import Ender
from bridge.backends.kubernetes.reflector import Reflector
from bridge.backends.kubernetes.tasks import Tasks
from bridge.backends.kubernetes.transport import METADATA_ONLY, Transport
from bridge.core.errors import BridgeError, Gone

log = logging.getLogger(__name__)

Json = dict[str, Any]

_OWN_SECONDS = 60.0
"""How long objects that we have just made may be missing from a list that was begun before."""


class Watch:
    def __init__(
        self,
        transport: Transport,
        book: Book,
        ender: Ender,
        collector: Collector,
        tasks: Tasks,
        instance: str,
        namespaces: Sequence[str],
    ) -> None:
        self.nodes: Reflector | None = None
        self.broken = asyncio.Event()
        """A watch broke off: the API server may come back as another."""
        self._transport, self._book, self._ender, self._tasks = transport, book, ender, tasks
        self._collector = collector
        self._ours = f"{names.INSTANCE}={instance}"
        self._namespaces = namespaces
        self._reflectors: list[Reflector] = []
        self._logs: set[str] = set()
        """uids of the pods whose logs are read."""
        self._settling: set[str] = set()
        """uids of ended pods whose output is being brought in."""

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        for namespace in self._namespaces:
            for path, query, keep, on_change in (
                (f"/apis/batch/v1/namespaces/{namespace}/jobs", self._ours, pictures.job, self._on_job),
                (f"/api/v1/namespaces/{namespace}/pods", self._ours, pictures.pod, self._on_pod),
            ):
                self._reflect(path, {"labelSelector": query}, keep, on_change)
            # Quotas, Pod Security and webhooks refuse pods of a Job, volumes cannot be mounted: only events tell of it.
            for selector, on_event in (
                ("involvedObject.kind=Job,reason=FailedCreate", self._on_refusal),
                ("involvedObject.kind=Pod,reason=FailedMount", self._on_trouble),
            ):
                self._reflect(
                    f"/api/v1/namespaces/{namespace}/events",
                    {"fieldSelector": selector},
                    pictures.event,
                    on_event,
                    is_needed=False,
                )
        self.nodes = self._reflect("/api/v1/nodes", {}, pictures.node, self._on_node, is_needed=False)

    def _reflect(self, path: str, query: Json, keep: Any, on_change: Any, *, is_needed: bool = True) -> Reflector:
        reflector = Reflector(self._transport, path, query, keep, on_change, self._book.tell_all, self.broken.set)
        if is_needed:
            self._reflectors.append(reflector)
        self._tasks.spawn(reflector.run())
        return reflector

    def clear(self) -> None:
        self.nodes = None
        self._reflectors.clear()
        self._logs.clear()
        self._settling.clear()

    @property
    def is_current(self) -> bool:
        return all(reflector.is_current for reflector in self._reflectors)

    async def first_pictures(self) -> None:
        while not self.is_current:
            self._book.news.clear()
            await self._book.news.wait()

    async def sweep(self) -> None:
        """Secrets of starts that did not come as far as their Job. Without them nothing of those can start."""
        used = {
            owner["uid"] for job in self._objects("/jobs") for owner in job["metadata"].get("ownerReferences") or ()
        }
        for namespace in self._namespaces:
            path = f"/api/v1/namespaces/{namespace}/secrets"
            items, _ = await self._transport.list_all(path, {"labelSelector": self._ours}, METADATA_ONLY)
            for meta in (item["metadata"] for item in items):
                if meta["uid"] not in used and not meta.get("ownerReferences"):
                    log.info(
                        "a start that was cut short is taken back", extra={"object": f"{namespace}/{meta['name']}"}
                    )
                    await self._transport.delete(f"{path}/{meta['name']}", uid=meta["uid"])

    def _objects(self, kind: str) -> Iterator[Json]:
        for reflector in self._reflectors:
            if reflector.path.endswith(kind):
                yield from reflector.objects.values()

    def forget_vanished(self) -> None:
        """Attempts of which a whole picture shows nothing: neither Job nor pods, and they are not brand new."""
        jobs = {(job["metadata"]["namespace"], job["metadata"]["name"]) for job in self._objects("/jobs")}
        now = asyncio.get_running_loop().time()
        for attempt in list(self._book.attempts.values()):
            if attempt.place not in jobs and not attempt.pods and now - attempt.made_at > _OWN_SECONDS:
                self._book.drop(attempt)

    # ── changes ───────────────────────────────────────────────────────────────────────────────────

    def _on_job(self, key: str, job: Json, is_gone: bool) -> None:
        found = self._book.of_object(job, is_gone=is_gone)
        if found is None:
            return
        for owner in job["metadata"].get("ownerReferences") or ():
            self._book.launches[job["metadata"]["namespace"], job["metadata"]["name"]] = owner["name"]
        for attempt in [self._book.attempts[one] for one in found.values()]:
            if not is_gone and attempt.first_pod is None and not attempt.why:
                attempt.why = pictures.failure(job)
            self._book.tell(attempt)

    def _on_pod(self, key: str, pod: Json, is_gone: bool) -> None:
        found = self._book.of_object(pod, is_gone=is_gone)
        attempt_key = found.get(None, found.get(standing.index_of(pod))) if found is not None else None
        if attempt_key is None:
            return
        attempt, uid = self._book.attempts[attempt_key], pod["metadata"]["uid"]
        known = attempt.pods.get(uid)
        if is_gone and known is not None and not standing.is_over(known):
            # Removed by force, finalizer and all: whether its processes have ended nobody knows.
            self._on_removed(attempt, known)
            return
        attempt.pods[uid] = pod
        if attempt.is_gated:
            self._book.gated.set()
        if attempt.stop_asked or attempt.given_up:
            self._tasks.spawn(self._ender.end_pods(attempt))
        if pod is attempt.first_pod and standing.is_running(pod) and uid not in self._logs:
            self._logs.add(uid)
            self._tasks.spawn(self._read_log(attempt, pod))
        if pod is attempt.first_pod and uid not in self._settling and _is_to_settle(attempt):
            self._settling.add(uid)
            self._tasks.spawn(self._settle(attempt, uid))
        self._book.tell(attempt)

    def _on_removed(self, attempt: Attempt, pod: Json) -> None:
        attempt.pods.pop(pod["metadata"]["uid"], None)
        if standing.index_of(pod) != (attempt.index or 0):
            return
        if standing.is_scheduled(pod):
            attempt.lost = f"its pod {pod['metadata']['name']} was removed by force"
        else:
            attempt.is_nothing_left = True
        self._book.tell(attempt)

    def _on_refusal(self, key: str, event: Json, is_gone: bool) -> None:
        """The Job controller could not make a pod: the place is given back, with the cluster's own sentence."""
        if is_gone:
            return
        for attempt in self._book.at((event["metadata"]["namespace"], event["involvedObject"]["name"])):
            if attempt.first_pod is None and not attempt.given_up:
                attempt.why = event["message"]
                hindrance: standing.Hindrance = "room" if "exceeded quota" in attempt.why else ""
                self._tasks.spawn(self._ender.give_up(attempt, attempt.why, hindrance))

    def _on_trouble(self, key: str, event: Json, is_gone: bool) -> None:
        uid = event["involvedObject"].get("uid")
        for attempt in [] if is_gone else self._book.attempts.values():
            if uid in attempt.pods:
                attempt.troubles[uid] = f"{event['reason']}: {event['message']}"
                self._book.tell(attempt)

    def _on_node(self, key: str, node: Json, is_gone: bool) -> None:
        self._book.tell_nodes()

    async def _settle(self, attempt: Attempt, uid: str) -> None:
        try:
            await self._collector.settle(attempt)
        finally:
            self._settling.discard(uid)

    # ── the journal, by the pod's log ─────────────────────────────────────────────────────────────

    async def _read_log(self, attempt: Attempt, pod: Json) -> None:
        try:
            await self._follow(attempt, pod)
        finally:
            self._logs.discard(pod["metadata"]["uid"])

    async def _follow(self, attempt: Attempt, pod: Json) -> None:
        wait = 0.1
        while attempt.key in self._book.attempts:
            try:
                stream = self._transport.log(attempt.namespace, pod["metadata"]["name"], "job")
                async with contextlib.aclosing(stream) as lines:
                    async for line in lines:
                        if attempt.take(line):
                            self._book.tell(attempt)
                        if attempt.is_kept and await self._collector.take(attempt, line):
                            self._tasks.spawn(self._collector.fetch(attempt))
                if not standing.is_running(attempt.pods.get(pod["metadata"]["uid"], pod)):
                    return
            except Gone:
                return
            except BridgeError as error:
                log.info("a log cannot be read now", extra={"pod": pod["metadata"]["name"], "why": error.sentence})
            await asyncio.sleep(wait)
            wait = min(10.0, wait * 2)


def _is_to_settle(attempt: Attempt) -> bool:
    return attempt.is_kept and not attempt.is_settled and attempt.standing().phase in ("ended", "lost")
