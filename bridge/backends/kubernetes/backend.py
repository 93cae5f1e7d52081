"""Jobs as pods of a Kubernetes cluster.

The bridge may come and go: what runs is in the cluster's objects, how it ended is in the pods' termination messages,
and a finalizer of ours keeps each pod until its end is committed. An attempt starts at most once: its Job is named
after it, needs the one Secret that it was made with, and Kubernetes is told never to replace a pod.
"""

import asyncio
import base64
import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import secrets
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from adapters.kubernetes import bundle as bundles
from adapters.kubernetes import names, objects, standing
from adapters.kubernetes.capabilities import Capabilities
from adapters.kubernetes.profile import Profile
from bridge.backends.kubernetes import archive, attempts, discovery
from bridge.backends.kubernetes.reflector import Reflector
from bridge.backends.kubernetes.transport import (
    METADATA_ONLY,
    STRATEGIC_PATCH,
    Access,
    Exists,
    Transport,
)
from bridge.backends.port import Observation, Target, TaskUsage
from bridge.core.errors import BridgeError, Gone, Refused, Unavailable
from bridge.core.group import Group
from bridge.core.nodes import Node, NodeState

log = logging.getLogger(__name__)

Json = dict[str, Any]
Key = tuple[int, int]
Place = tuple[str, str]
"""(namespace, name) of a Job."""

_LOOK_SECONDS = 1.0
"""How often clocks are looked at: pods without a host, stuck containers, lost nodes."""
_MOST_FORGOTTEN = 20_000
_OWN_SECONDS = 60.0
"""How long objects that we have just made may be missing from a list that was begun before."""


class KubernetesBackend:
    def __init__(
        self,
        name: str,
        access: Access,
        instance: str,
        profiles: Mapping[str, Profile],
        nodes: Sequence[Node],
        call_back: tuple[str, str] | None = None,
    ) -> None:
        """`profiles`: by partition. `nodes`: as the site file knows them; their names are the cluster's.
        `call_back`: the bridge's address for commands inside of jobs, and the file with its certificate."""
        self.name = name
        self._instance = instance
        self._profiles = dict(profiles)
        self._site_nodes = tuple(nodes)
        self._call_back = call_back
        self._transport = Transport(access)
        self._capabilities = Capabilities()
        self._hosts = _hosts_of(profiles.values(), nodes)
        self._namespaces = sorted({profile.namespace for profile in profiles.values()})
        self._agent_name, self._agent = archive.build()
        self._has_agent: set[str] = set()
        self._attempts: dict[Key, attempts.Attempt] = {}
        self._by_group: dict[Place, dict[int | None, Key]] = {}
        """Job → its attempts, by their pods' index."""
        self._launches: dict[Place, str] = {}
        """Job → its launch Secret's name."""
        self._tries: dict[Place, str] = {}
        """Job that was perhaps made → the launch Secret of that try."""
        self._forgotten: dict[Place, None] = {}
        """The latest, in order: what the cluster still says of them is no news."""
        self._reflectors: list[Reflector] = []
        self._nodes: Reflector | None = None
        self._changed: set[Key] = set()
        self._is_gap = True
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._logs: dict[str, asyncio.Task[None]] = {}
        """Of pods, by uid."""
        self._nodes_changed = False
        self._not_ready_since: dict[str, float] = {}

    # ── open and close ────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        try:
            await self._transport.open()
            await self._say_where_we_are()
            self._capabilities = await discovery.discover(self._transport, self._namespaces[0])
            log.info("what the cluster can do", extra=dataclasses.asdict(self._capabilities))
            self._start_watching()
            async with asyncio.timeout(60.0):
                while not all(reflector.is_current for reflector in self._reflectors):
                    self._news.clear()
                    await self._news.wait()
            await self._sweep()
        except TimeoutError:
            await self.close()
            raise Unavailable("the Kubernetes cluster did not list what it has within a minute") from None
        except BridgeError as error:
            await self.close()
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(f"the Kubernetes cluster cannot be used: {error.sentence}") from error
        self._spawn(self._keep_time())
        self._spawn(self._probe_image_volumes())

    async def _probe_image_volumes(self) -> None:
        """Until the answer is there the agent is copied. One partition stands for all: the cluster's runtime is one."""
        probed = next((one for one in self._profiles.values() if one.bridge_image is not None), None)
        if probed is None:
            return
        with contextlib.suppress(BridgeError):
            answer = await discovery.image_volumes_work(self._transport, probed)
            self._capabilities = replace(self._capabilities, image_volume=answer)
            log.info("whether agents come as image volumes", extra={"answer": answer})

    async def close(self) -> None:
        tasks = [*self._tasks, *self._logs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._logs.clear()
        self._reflectors.clear()
        self._nodes = None
        self._attempts.clear()
        self._by_group.clear()
        self._launches.clear()
        self._tries.clear()
        self._forgotten.clear()
        self._has_agent.clear()
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
        self._profiles = {
            name: replace(profile, bridge_url=url, bridge_ca=certificate) for name, profile in self._profiles.items()
        }

    async def _sweep(self) -> None:
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

    @property
    def _ours(self) -> str:
        return f"{names.INSTANCE}={self._instance}"

    def _start_watching(self) -> None:
        for namespace in self._namespaces:
            for path, query, keep, on_change in (
                (f"/apis/batch/v1/namespaces/{namespace}/jobs", self._ours, _small_job, self._on_job),
                (f"/api/v1/namespaces/{namespace}/pods", self._ours, _small_pod, self._on_pod),
            ):
                self._reflect(path, {"labelSelector": query}, keep, on_change)
            # Quotas, Pod Security and webhooks refuse pods of a Job, and only events tell of it.
            self._reflect(
                f"/api/v1/namespaces/{namespace}/events",
                {"fieldSelector": "involvedObject.kind=Job,reason=FailedCreate"},
                _small_event,
                self._on_event,
                is_needed=False,
            )
        self._nodes = self._reflect("/api/v1/nodes", {}, _small_node, self._on_node, is_needed=False)

    def _reflect(self, path: str, query: Json, keep: Any, on_change: Any, *, is_needed: bool = True) -> Reflector:
        reflector = Reflector(self._transport, path, query, keep, on_change, self._on_list)
        if is_needed:
            self._reflectors.append(reflector)
        self._spawn(reflector.run())
        return reflector

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the Kubernetes backend failed", exc_info=task.exception())

    # ── what the cluster tells ────────────────────────────────────────────────────────────────────

    def _on_list(self) -> None:
        """A picture is whole again: everything is told anew, and what is not in it is not there."""
        self._is_gap = True
        self._news.set()

    def _on_job(self, key: str, job: Json, is_gone: bool) -> None:
        found = self._of_object(job, is_gone)
        if found is None:
            return
        for owner in job["metadata"].get("ownerReferences") or ():
            self._launches[job["metadata"]["namespace"], job["metadata"]["name"]] = owner["name"]
        for attempt in [self._attempts[one] for one in found.values()]:
            if not is_gone and attempt.first_pod is None and not attempt.why:
                attempt.why = _failure(job)
            self._tell(attempt)

    def _on_pod(self, key: str, pod: Json, is_gone: bool) -> None:
        found = self._of_object(pod, is_gone)
        attempt_key = found.get(None, found.get(standing.index_of(pod))) if found is not None else None
        if attempt_key is None:
            return
        attempt, uid = self._attempts[attempt_key], pod["metadata"]["uid"]
        known = attempt.pods.get(uid)
        if is_gone and known is not None and not standing.is_over(known):
            # Removed by force, finalizer and all: whether its processes have ended nobody knows.
            self._on_removed(attempt, known)
            return
        attempt.pods[uid] = pod
        if attempt.stop_asked or attempt.given_up:
            self._spawn(self._end_pods(attempt))
        if pod is attempt.first_pod and standing.is_running(pod) and uid not in self._logs:
            self._follow(attempt, pod)
        self._tell(attempt)

    def _on_removed(self, attempt: attempts.Attempt, pod: Json) -> None:
        attempt.pods.pop(pod["metadata"]["uid"], None)
        if standing.index_of(pod) != (attempt.index or 0):
            return
        if standing.is_scheduled(pod):
            attempt.lost = f"its pod {pod['metadata']['name']} was removed by force"
        else:
            attempt.is_nothing_left = True
        self._tell(attempt)

    def _on_event(self, key: str, event: Json, is_gone: bool) -> None:
        """The Job controller could not make a pod: the place is given back, with the cluster's own sentence."""
        if is_gone:
            return
        namespace, name = event["metadata"]["namespace"], event["involvedObject"]["name"]
        for attempt in [self._attempts[one] for one in self._by_group.get((namespace, name), {}).values()]:
            if attempt.first_pod is None and not attempt.given_up:
                attempt.why = event["message"]
                self._spawn(self._give_up(attempt, event["message"]))

    def _on_node(self, key: str, node: Json, is_gone: bool) -> None:
        self._nodes_changed = True
        self._news.set()

    def _of_object(self, item: Json, is_gone: bool) -> dict[int | None, Key] | None:
        """The attempts that a Job or a pod belongs to; those that are new are taken in. None: it is no news."""
        meta = item["metadata"]
        place = (meta["namespace"], meta["labels"].get(names.GROUP, ""))
        if place in self._by_group:
            return self._by_group[place]
        if is_gone or place in self._forgotten:
            return None
        try:
            members = bundles.parse_members((meta.get("annotations") or {})[names.MEMBERS])
        except (KeyError, ValueError):
            log.error("an object with our label is not ours", extra={"object": f"{place[0]}/{meta['name']}"})
            return None
        is_wave = names.ATTEMPT not in meta["labels"]
        for index, (job_id, number) in enumerate(members):
            self._add(_attempt(job_id, number, place, index if is_wave else None, meta))
        return self._by_group[place]

    def _add(self, attempt: attempts.Attempt) -> None:
        self._attempts[attempt.key] = attempt
        self._by_group.setdefault(attempt.place, {})[attempt.index] = attempt.key

    def _drop(self, attempt: attempts.Attempt) -> bool:
        """True: it was the last one of its Job."""
        self._attempts.pop(attempt.key, None)
        self._changed.discard(attempt.key)
        keys = self._by_group.get(attempt.place, {})
        keys.pop(attempt.index, None)
        if keys:
            return False
        self._by_group.pop(attempt.place, None)
        return True

    def _tell(self, attempt: attempts.Attempt) -> None:
        self._changed.add(attempt.key)
        self._news.set()

    # ── the journal, by the pod's log ─────────────────────────────────────────────────────────────

    def _follow(self, attempt: attempts.Attempt, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        task = self._spawn(self._read_log(attempt, pod))
        self._logs[uid] = task
        task.add_done_callback(lambda _: self._logs.pop(uid, None))

    async def _read_log(self, attempt: attempts.Attempt, pod: Json) -> None:
        wait = 0.1
        while attempt.key in self._attempts:
            try:
                stream = self._transport.log(attempt.namespace, pod["metadata"]["name"], "job")
                async with contextlib.aclosing(stream) as lines:
                    async for line in lines:
                        if attempt.take(line):
                            self._tell(attempt)
                if not standing.is_running(attempt.pods.get(pod["metadata"]["uid"], pod)):
                    return
            except Gone:
                return
            except BridgeError as error:
                log.info("a log cannot be read now", extra={"pod": pod["metadata"]["name"], "why": error.sentence})
            await asyncio.sleep(wait)
            wait = min(10.0, wait * 2)

    # ── start ─────────────────────────────────────────────────────────────────────────────────────

    async def start(self, groups: Sequence[Group]) -> None:
        new = [group for group in groups if (group.job_id, group.attempt) not in self._attempts]
        found = await asyncio.gather(*(self._make(bundle) for bundle in bundles.gather(new)), return_exceptions=True)
        errors = [error for error in found if isinstance(error, BaseException)]
        for error in sorted(errors, key=lambda error: isinstance(error, Refused)):
            raise error

    async def _make(self, bundle: bundles.Bundle) -> None:
        profile = self._profile_of(bundle.first)
        place = (profile.namespace, bundle.name)
        ticket = secrets.token_hex(3)
        made = objects.make_objects(bundle, profile, self._capabilities, self._agent_name, ticket)
        await self._bring_agent(profile.namespace)
        if place in self._tries and await self._settle(place):
            self._add_all(bundle, profile, made)
            return
        launch = made.owner["metadata"]["name"]
        self._tries[place] = launch
        owner = await self._transport.create(_collection(made.owner), made.owner)
        try:
            for manifest in made.owned:
                await self._make_owned(objects.with_owner(manifest, owner))
        except Refused:
            # Without its Secret nothing of it can start; the rest goes with it.
            await self._delete_launch(profile.namespace, launch)
            del self._tries[place]
            raise
        del self._tries[place]
        self._launches[place] = launch
        self._add_all(bundle, profile, made)

    async def _settle(self, place: Place) -> bool:
        """An earlier try got no answer. True: it came as far as its Job, and counts; else it is taken back."""
        namespace, name = place
        launch = self._tries[place]
        try:
            job = await self._transport.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
        except Gone:
            await self._delete_launch(namespace, launch)
            del self._tries[place]
            return False
        if launch not in [owner["name"] for owner in job["metadata"].get("ownerReferences") or ()]:
            raise Unavailable(f"an older Job {name} is still being removed")
        del self._tries[place]
        self._launches[place] = launch
        return True

    def _add_all(self, bundle: bundles.Bundle, profile: Profile, made: objects.Objects) -> None:
        """Unless the watch was quicker."""
        if (profile.namespace, bundle.name) in self._by_group:
            return
        for index, group in enumerate(bundle.groups):
            where = index if bundle.is_wave else None
            place = (profile.namespace, bundle.name)
            self._add(_attempt(group.job_id, group.attempt, place, where, made.owner["metadata"]))

    def _profile_of(self, group: Group) -> Profile:
        profile = self._profiles.get(group.partition)
        if profile is None:
            raise Refused(f"the partition {group.partition} has no place on Kubernetes", field="partition")
        return profile

    async def _bring_agent(self, namespace: str) -> None:
        if namespace in self._has_agent:
            return
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self._agent_name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "bridge"},
            },
            "immutable": True,
            "binaryData": {names.AGENT_FILE: base64.b64encode(self._agent).decode()},
        }
        with contextlib.suppress(Exists):  # named after what is in it
            await self._transport.create(f"/api/v1/namespaces/{namespace}/configmaps", manifest)
        self._has_agent.add(namespace)

    async def _make_owned(self, manifest: Json) -> None:
        meta = manifest["metadata"]
        try:
            await self._transport.create(_collection(manifest), manifest)
        except Exists:
            there = await self._transport.get(f"{_collection(manifest)}/{meta['name']}")
            owners = there["metadata"].get("ownerReferences") or ()
            if meta["ownerReferences"][0]["uid"] not in [owner["uid"] for owner in owners]:
                raise Unavailable(f"an older {manifest['kind']} {meta['name']} is still being removed") from None

    async def _delete_launch(self, namespace: str, name: str) -> None:
        await self._transport.delete(f"/api/v1/namespaces/{namespace}/secrets/{name}")

    # ── observe ───────────────────────────────────────────────────────────────────────────────────

    async def observe(self) -> AsyncIterator[Observation]:
        self._is_gap = True
        while True:
            nodes_changed, self._nodes_changed = self._nodes_changed, False
            if self._is_gap and all(reflector.is_current for reflector in self._reflectors):
                self._is_gap = False
                self._changed.clear()
                self._forget_vanished()
                everything = []
                for attempt in self._attempts.values():
                    everything.append(attempt.sighting())
                    attempt.tell(everything[-1])
                yield Observation(tuple(everything), full=True, nodes_changed=nodes_changed)
                continue
            changed, self._changed = self._changed, set()
            news = []
            for key in sorted(changed):
                if key not in self._attempts:
                    continue
                sighting = self._attempts[key].news()
                if sighting is not None:
                    self._attempts[key].tell(sighting)
                    news.append(sighting)
            if news or nodes_changed:
                yield Observation(tuple(news), nodes_changed=nodes_changed)
            elif not self._changed:
                self._news.clear()
                await self._news.wait()

    def _forget_vanished(self) -> None:
        """Attempts of which a whole picture shows nothing: neither Job nor pods, and they are not brand new."""
        jobs = {(job["metadata"]["namespace"], job["metadata"]["name"]) for job in self._objects("/jobs")}
        now = asyncio.get_running_loop().time()
        for attempt in list(self._attempts.values()):
            if attempt.place not in jobs and not attempt.pods and now - attempt.made_at > _OWN_SECONDS:
                self._drop(attempt)

    # ── clocks ────────────────────────────────────────────────────────────────────────────────────

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for attempt in list(self._attempts.values()):
                with contextlib.suppress(Unavailable):
                    await self._look(attempt)

    async def _look(self, attempt: attempts.Attempt) -> None:
        """Give up what waits too long, and take what its node took along for lost."""
        if attempt.given_up or attempt.stop_asked or attempt.key not in self._attempts:
            return
        now = asyncio.get_running_loop().time()
        profile = self._profile_at(attempt)
        # A Job that Kueue holds back has no pods, for as long as Kueue likes.
        is_queued = profile.queue is not None and not attempt.pods
        if attempt.standing().phase == "starting" and not attempt.has_run and not is_queued:
            why = attempt.overdue(now, profile.bind_seconds, profile.patience_seconds)
            if why:
                await self._give_up(attempt, why)
                return
        node = attempt.node
        if node is not None and self._nodes is not None and self._nodes.is_current and not attempt.lost:
            why = self._lost_node(node, now, profile.node_timeout_seconds)
            if why:
                await self._lose(attempt, why)

    def _profile_at(self, attempt: attempts.Attempt) -> Profile:
        found = self._profiles.get(attempt.partition)
        return found or next(one for one in self._profiles.values() if one.namespace == attempt.namespace)

    def _lost_node(self, name: str, now: float, timeout_seconds: int) -> str:
        """Why the node counts as lost; empty: it does not. Counted by our clock, from when we first saw it."""
        assert self._nodes is not None
        node = self._nodes.objects.get(f"/{name}")
        if node is None:
            return f"the node {name} was removed from the cluster"
        ready: Json = next(iter(node["status"]["conditions"]), {})
        if ready.get("status") == "True":
            self._not_ready_since.pop(name, None)
            return ""
        if now - self._not_ready_since.setdefault(name, now) < timeout_seconds:
            return ""
        told = f"{ready.get('reason', '')}: {ready.get('message', '')}".strip(": ")
        return f"the node {name} has been NotReady for {timeout_seconds} seconds ({told})"

    async def _lose(self, attempt: attempts.Attempt, why: str) -> None:
        """Its pod is to end, should the node come back. Only then, or when the node is gone from the cluster, it is
        certain that it has ended: a job that may run again is not told lost before."""
        await self._end_pods(attempt)
        node = attempt.node
        is_gone = self._nodes is not None and f"/{node}" not in self._nodes.objects
        if is_gone or not attempt.may_run_again:
            attempt.lost = why
        attempt.why = why
        self._tell(attempt)

    # ── wishes ────────────────────────────────────────────────────────────────────────────────────

    async def signal(self, job_id: int, attempt: int, number: int, to: Target) -> None:
        await self._ask(job_id, attempt, {"do": "signal", "number": number, "to": to})

    async def measure(self, job_id: int, attempt: int) -> tuple[TaskUsage, ...]:
        raise Unavailable("what runs in pods is not measured while it runs")

    async def set_time_limit(self, job_id: int, attempt: int, time_limit_seconds: int | None) -> None:
        await self._ask(job_id, attempt, {"do": "time_limit", "seconds": time_limit_seconds})

    async def pause(self, job_id: int, attempt: int, *, resume: bool) -> None:
        await self._ask(job_id, attempt, {"do": "resume" if resume else "pause"})

    async def _ask(self, job_id: int, number: int, wish: Json) -> None:
        """Of the monitor in the first pod, by a command there."""
        attempt = self._attempts.get((job_id, number))
        pod = attempt.first_pod if attempt is not None else None
        if attempt is None or attempt.standing().phase in ("ended", "lost", "not_started"):
            raise Gone(f"attempt {number} of job {job_id} does not run here")
        if pod is None or not standing.is_running(pod):
            raise Unavailable(f"the pod of job {job_id} does not run yet")
        command = [*_agent_words(pod), "control", json.dumps(wish)]
        out = await self._transport.execute(attempt.namespace, pod["metadata"]["name"], "job", command)
        answer = json.loads(out)
        if answer.get("gone"):
            raise Gone(f"attempt {number} of job {job_id} has ended")
        if answer.get("error") == "not running":
            raise Unavailable(f"the script of job {job_id} does not run yet")
        if "error" in answer:
            raise BridgeError(f"the monitor of job {job_id} refused {wish['do']}: {answer['error']}")

    async def stop(self, job_id: int, attempt: int, why: Literal["cancel", "requeue", "node_fail"]) -> None:
        found = self._attempts.get((job_id, attempt))
        if found is None:
            # Perhaps a Secret is there, whose Job was never made.
            await self._delete_by_name(job_id, attempt)
            self._is_gap = True
            self._news.set()
            return
        found.stop_asked = True
        if found.first_pod is not None:
            if why != "cancel":
                # The signal that ends a pod says no more than that; the job's output is to say why.
                with contextlib.suppress(BridgeError):
                    await self._ask(job_id, attempt, {"do": "stop", "why": why})
            await self._end_pods(found)
        else:
            await self._take_back(found)

    async def _delete_by_name(self, job_id: int, attempt: int) -> None:
        selector = f"{names.GROUP}={names.group_name(self._instance, job_id, attempt)}"
        for namespace in self._namespaces:
            await self._transport.delete_all(f"/api/v1/namespaces/{namespace}/secrets", selector)

    async def _end_pods(self, attempt: attempts.Attempt) -> None:
        """SIGTERM to the first pod's agent; the others end with it. One without a host is gone at once."""
        pod = attempt.first_pod
        if pod is None or standing.is_deleted(pod) or standing.is_over(pod):
            return
        path = f"/api/v1/namespaces/{attempt.namespace}/pods/{pod['metadata']['name']}"
        await self._transport.delete(path, uid=pod["metadata"]["uid"])

    async def _take_back(self, attempt: attempts.Attempt) -> None:
        """Before it has a pod. In a wave the others go on: its pod is ended as soon as it is seen."""
        if attempt.index is not None:
            return
        namespace, name = attempt.namespace, attempt.group
        await self._delete_group(attempt.place)
        await self._transport.delete(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
        pods, _ = await self._transport.list_all(
            f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": f"{names.GROUP}={name}"}
        )
        for pod in pods:
            attempt.pods[pod["metadata"]["uid"]] = _small_pod(pod)
        if pods:
            await self._end_pods(attempt)
        else:
            attempt.is_nothing_left = True
        self._tell(attempt)

    async def _give_up(self, attempt: attempts.Attempt, why: str) -> None:
        """Its place is given back; whether it had begun meanwhile its pod will tell."""
        attempt.given_up = why
        if attempt.first_pod is not None:
            await self._end_pods(attempt)
        else:
            await self._take_back(attempt)

    async def forget(self, job_id: int, attempt: int) -> None:
        found = self._attempts.get((job_id, attempt))
        if found is None:
            await self._delete_by_name(job_id, attempt)
            return
        await asyncio.gather(*(self._release(found.namespace, pod) for pod in found.pods.values()))
        if self._drop(found):
            self._forgotten[found.place] = None
            while len(self._forgotten) > _MOST_FORGOTTEN:
                del self._forgotten[next(iter(self._forgotten))]
            await self._delete_group(found.place)

    async def _delete_group(self, place: Place) -> None:
        """The Secret, and with it everything that it owns."""
        namespace, name = place
        launch = self._launches.pop(place, None)
        if launch is not None:
            await self._delete_launch(namespace, launch)
        else:
            await self._transport.delete_all(f"/api/v1/namespaces/{namespace}/secrets", f"{names.GROUP}={name}")

    async def _release(self, namespace: str, pod: Json) -> None:
        if names.FINALIZER not in (pod["metadata"].get("finalizers") or ()):
            return
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
        change = {"metadata": {"uid": pod["metadata"]["uid"], "$deleteFromPrimitiveList/finalizers": [names.FINALIZER]}}
        with contextlib.suppress(Gone, Exists):
            await self._transport.patch(path, change, STRATEGIC_PATCH)

    # ── looks ─────────────────────────────────────────────────────────────────────────────────────

    async def nodes(self) -> tuple[Node, ...]:
        reflector = self._nodes
        if reflector is None or not reflector.is_current:
            return self._site_nodes
        found = []
        for node in self._site_nodes:
            is_host = f"/{node.name}" in reflector.objects or node.name in self._hosts
            found.append(_as_it_is(node, reflector.objects.get(f"/{node.name}")) if is_host else node)
        return tuple(found)

    async def read_output(self, uid: int, gid: int, path: str, offset: int, limit_bytes: int) -> bytes:
        """Where the partition's volumes are mounted here too, the file itself, opened as the user."""
        rights: Json = {} if os.geteuid() == uid else {"user": uid, "group": gid, "extra_groups": [gid]}
        words = [sys.executable, "-I", "-S", "-c", _READ, path, str(offset), str(limit_bytes)]
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, **rights
            )
        except (OSError, ValueError) as error:
            raise Gone(f"{path}: {error}") from error
        out, told = await process.communicate()
        if process.returncode != 0:
            raise Gone(f"{path}: {told.decode(errors='replace').strip() or 'cannot be read here'}")
        return out


_READ = """
import os, stat, sys
try:
    fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        sys.exit("not a regular file")
    os.lseek(fd, int(sys.argv[2]), os.SEEK_SET)
    sys.stdout.buffer.write(os.read(fd, int(sys.argv[3])))
except OSError as error:
    sys.exit(error.strerror)
"""


def _attempt(job_id: int, number: int, place: Place, index: int | None, meta: Json) -> attempts.Attempt:
    """`meta`: of any object of its Job."""
    found = attempts.Attempt(job_id, number, place[1], place[0], index)
    found.partition = meta["annotations"].get(names.PARTITION, "")
    found.may_run_again = meta["annotations"].get(names.REQUEUE) != "no"
    return found


def _hosts_of(profiles: Iterable[Profile], nodes: Iterable[Node]) -> frozenset[str]:
    """Of the site's nodes those that must be the cluster's."""
    if all(profile.nodes_are == "room" for profile in profiles):
        return frozenset()
    return frozenset(node.name for node in nodes)


def _collection(manifest: Json) -> str:
    version, kind = manifest["apiVersion"], manifest["kind"].lower() + "s"
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    return f"{root}/namespaces/{manifest['metadata']['namespace']}/{kind}"


def _agent_words(pod: Json) -> list[str]:
    """The pod's own command, without its last word, `run`."""
    return [str(word) for word in pod["spec"]["command"][:-1]]


_META = (
    *("name", "namespace", "uid", "labels", "annotations", "finalizers", "ownerReferences"),
    *("creationTimestamp", "deletionTimestamp"),
)
"""Of an object's metadata what is looked at."""


# ── small pictures ────────────────────────────────────────────────────────────────────────────────


def _small_meta(item: Json) -> Json:
    return {name: item["metadata"][name] for name in _META if name in item["metadata"]}


def _small_job(job: Json) -> Json:
    return {"metadata": _small_meta(job), "status": {"conditions": (job.get("status") or {}).get("conditions") or []}}


def _small_pod(pod: Json) -> Json:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    wanted = ("phase", "reason", "message", "conditions", "containerStatuses", "initContainerStatuses", "startTime")
    return {
        "metadata": _small_meta(pod),
        "spec": {"nodeName": spec.get("nodeName"), "command": spec["containers"][0].get("command") or []},
        "status": {name: status[name] for name in wanted if name in status},
    }


def _small_event(event: Json) -> Json:
    return {
        "metadata": _small_meta(event),
        "involvedObject": event["involvedObject"],
        "message": event.get("message", ""),
    }


def _small_node(node: Json) -> Json:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return {
        "metadata": _small_meta(node),
        "spec": {"unschedulable": bool(spec.get("unschedulable")), "taints": spec.get("taints") or []},
        "status": {
            "allocatable": status.get("allocatable") or {},
            "conditions": [c for c in status.get("conditions") or () if c.get("type") == "Ready"],
        },
    }


def _failure(job: Json) -> str:
    for one in job["status"]["conditions"]:
        if one.get("type") in ("Failed", "FailureTarget") and one.get("status") == "True":
            return f"{one.get('reason', '')}: {one.get('message', '')}".strip(": ")
    return ""


def _as_it_is(node: Node, found: Json | None) -> Node:
    """The site file's node in the state that the cluster says."""
    if found is None:
        return replace(node, state=NodeState.DOWN, reason="the cluster has no such node")
    ready: Json = next(iter(found["status"]["conditions"]), {})
    if ready.get("status") != "True":
        return replace(
            node, state=NodeState.DRAIN, reason=f"{ready.get('reason', 'NotReady')}: {ready.get('message', '')}"
        )
    if found["spec"]["unschedulable"]:
        return replace(node, state=NodeState.DRAIN, reason="cordoned")
    return node
