"""Ends: pods that are told to stop, starts that are taken back, and what goes once an end is committed."""

import asyncio
import contextlib
from typing import Any

from adapters.kubernetes import names, standing
from bridge.backends.kubernetes import launching, pictures
from bridge.backends.kubernetes.attempts import Attempt
from bridge.backends.kubernetes.book import Book, Place
from bridge.backends.kubernetes.transport import STRATEGIC_PATCH, Exists, Transport
from bridge.core.errors import Gone

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

    async def give_up(self, attempt: Attempt, why: str) -> None:
        """Its place is given back; whether it had begun meanwhile its pod will tell."""
        attempt.given_up = why
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
