"""Ends: pods that are told to stop, starts that are taken back, and what goes once an end is committed."""

import asyncio
import contextlib
import json
from typing import Any

from adapters.kubernetes import names, standing
from bridge.backends.kubernetes import launching, pictures
from bridge.backends.kubernetes.attempts import Attempt
from bridge.backends.kubernetes.book import Book, Place
from bridge.backends.kubernetes.transport import STRATEGIC_PATCH, Exists, Transport
from bridge.backends.port import TaskUsage
from bridge.core.errors import BridgeError, Gone, Unavailable

Json = dict[str, Any]


class Ender:
    def __init__(self, transport: Transport, book: Book) -> None:
        self._transport, self._book = transport, book

    async def end_pods(self, attempt: Attempt) -> None:
        """SIGTERM to the first pod's agent; the others end with it. One without a host is gone at once."""
        pod = attempt.first_pod
        if pod is None or standing.is_deleted(pod) or standing.is_over(pod):
            return
        path = f"/api/v1/namespaces/{attempt.namespace}/pods/{pod['metadata']['name']}"
        await self._transport.delete(path, uid=pod["metadata"]["uid"])

    async def ask(self, attempt: Attempt, wish: Json) -> None:
        """Of the monitor in the first pod, by a command there. Raises Gone, Unavailable."""
        pod, job_id = attempt.first_pod, attempt.job_id
        if attempt.standing().phase in ("ended", "lost", "not_started"):
            raise Gone(f"attempt {attempt.number} of job {job_id} does not run here")
        if pod is None or not standing.is_running(pod):
            raise Unavailable(f"the pod of job {job_id} does not run yet")
        await self._ask(attempt, pod, wish)

    async def measure(self, attempt: Attempt) -> tuple[TaskUsage, ...]:
        """What the tasks use in each pod that runs."""
        pods = [pod for pod in attempt.pods.values() if standing.is_running(pod) and not standing.is_over(pod)]
        if not pods:
            raise Unavailable(f"no pod of job {attempt.job_id} runs now")
        answers = await asyncio.gather(*(self._ask(attempt, pod, {"do": "measure"}) for pod in pods))
        found: list[TaskUsage] = []
        for pod, answer in zip(pods, answers, strict=True):
            node = standing.index_of(pod) if attempt.index is None else 0
            found += [TaskUsage(node=node, **{**one, "pids": tuple(one["pids"])}) for one in answer["tasks"]]
        return tuple(sorted(found, key=lambda one: one.node))

    async def _ask(self, attempt: Attempt, pod: Json, wish: Json) -> Json:
        job_id = attempt.job_id
        command = [*pictures.agent_words(pod), "control", json.dumps(wish)]
        out = await self._transport.execute(attempt.namespace, pod["metadata"]["name"], "job", command)
        answer: Json = json.loads(out)
        if answer.get("gone"):
            raise Gone(f"attempt {attempt.number} of job {job_id} has ended")
        if answer.get("error") == "not running":
            raise Unavailable(f"the script of job {job_id} does not run yet")
        if "error" in answer:
            raise BridgeError(f"the monitor of job {job_id} refused {wish['do']}: {answer['error']}")
        return answer

    async def remind(self, attempt: Attempt) -> None:
        """Say by another way that the pod is to end: a signal that came before the agent could hear it is lost."""
        with contextlib.suppress(BridgeError):
            await self.ask(attempt, {"do": "stop", "why": "cancel"})

    async def take_back(self, attempt: Attempt) -> None:
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
            attempt.pods[pod["metadata"]["uid"]] = pictures.pod(pod)
        if pods:
            await self.end_pods(attempt)
        else:
            attempt.is_nothing_left = True
        self._book.tell(attempt)

    async def give_up(self, attempt: Attempt, why: str, hindrance: standing.Hindrance = "") -> None:
        """Its place is given back; whether it had begun meanwhile its pod will tell."""
        attempt.given_up, attempt.hindrance = why, hindrance
        if attempt.first_pod is not None:
            await self.end_pods(attempt)
        else:
            await self.take_back(attempt)

    async def forget(self, attempt: Attempt) -> None:
        """The end is committed: the pods may go, and with the last attempt of a Job everything of it."""
        await asyncio.gather(*(self._release(attempt.namespace, pod) for pod in attempt.pods.values()))
        if self._book.drop(attempt):
            self._book.forget(attempt.place)
            await self._delete_group(attempt.place)

    async def _delete_group(self, place: Place) -> None:
        namespace, name = place
        launch = self._book.launches.pop(place, None)
        if launch is not None:
            await launching.delete_launch(self._transport, namespace, launch)
        else:
            await self._transport.delete_all(f"/api/v1/namespaces/{namespace}/secrets", f"{names.GROUP}={name}")

    async def _release(self, namespace: str, pod: Json) -> None:
        if names.FINALIZER not in (pod["metadata"].get("finalizers") or ()):
            return
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
        change = {"metadata": {"uid": pod["metadata"]["uid"], "$deleteFromPrimitiveList/finalizers": [names.FINALIZER]}}
        with contextlib.suppress(Gone, Exists):
            await self._transport.patch(path, change, STRATEGIC_PATCH)
