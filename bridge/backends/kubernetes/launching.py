"""Starts: the objects of a bundle, made in an order in which nothing can start twice.

The launch Secret comes first and owns the rest. Each try has a Secret of its own, so that a Job that an earlier try
made too late finds none.
"""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.kubernetes import bundle as bundles
from adapters.kubernetes import names, objects
from adapters.kubernetes.capabilities import Capabilities
from adapters.kubernetes.profile import Profile
from bridge.backends.kubernetes import archive
from bridge.backends.kubernetes.book import Book, Place
from bridge.backends.kubernetes.transport import Exists, Transport
from bridge.core.errors import Gone, Refused, Unavailable
from bridge.core.group import Group

Json = dict[str, Any]


class Launcher:
    def __init__(
        self, transport: Transport, book: Book, profiles: Mapping[str, Profile], has_lost_an_api: asyncio.Event
    ) -> None:
        self.capabilities = Capabilities()
        self.has_lost_an_api = has_lost_an_api
        self._transport, self._book, self._profiles = transport, book, profiles
        self._agent_name, self._agent = archive.build()
        self._has_agent: set[str] = set()

    def clear(self) -> None:
        self._has_agent.clear()

    async def start(self, groups: Sequence[Group]) -> None:
        new = [group for group in groups if (group.job_id, group.attempt) not in self._book.attempts]
        found = await asyncio.gather(*(self._make(bundle) for bundle in bundles.gather(new)), return_exceptions=True)
        errors = [error for error in found if isinstance(error, BaseException)]
        for error in sorted(errors, key=lambda error: isinstance(error, Refused)):
            raise error

    async def _make(self, bundle: bundles.Bundle) -> None:
        profile = self._profile_of(bundle.first)
        place = (profile.namespace, bundle.name)
        ticket = secrets.token_hex(3)
        made = objects.make_objects(bundle, profile, self.capabilities, self._agent_name, ticket)
        await self._bring_agent(profile.namespace)
        if place in self._book.tries and await self._settle(place):
            self._add_all(bundle, place, made)
            return
        launch = made.owner["metadata"]["name"]
        self._book.tries[place] = launch
        owner = await self._transport.create(_collection(made.owner), made.owner)
        try:
            for manifest in made.owned:
                await self._make_owned(objects.with_owner(manifest, owner))
        except Refused:
            # Without its Secret nothing of it can start; the rest goes with it.
            await delete_launch(self._transport, profile.namespace, launch)
            del self._book.tries[place]
            raise
        del self._book.tries[place]
        self._book.launches[place] = launch
        self._add_all(bundle, place, made)

    async def _settle(self, place: Place) -> bool:
        """An earlier try got no answer. True: it came as far as its Job, and counts; else it is taken back."""
        namespace, name = place
        launch = self._book.tries[place]
        try:
            job = await self._transport.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
        except Gone:
            await delete_launch(self._transport, namespace, launch)
            del self._book.tries[place]
            return False
        if launch not in [owner["name"] for owner in job["metadata"].get("ownerReferences") or ()]:
            raise Unavailable(f"an older Job {name} is still being removed")
        del self._book.tries[place]
        self._book.launches[place] = launch
        return True

    def _add_all(self, bundle: bundles.Bundle, place: Place, made: objects.Objects) -> None:
        """Unless the watch was quicker."""
        if place in self._book:
            return
        for index, group in enumerate(bundle.groups):
            where = index if bundle.is_wave else None
            self._book.add(group.job_id, group.attempt, place, where, made.owner["metadata"])

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
        except Gone as error:
            # Taken away under us, as by a rollback of the control plane: what there is now must be found out first.
            self.has_lost_an_api.set()
            raise Unavailable(
                f"the cluster has no place for a {manifest['kind']} any more: {error.sentence}"
            ) from error


async def delete_launch(transport: Transport, namespace: str, name: str) -> None:
    """The Secret, and with it everything that it owns."""
    await transport.delete(f"/api/v1/namespaces/{namespace}/secrets/{name}")


def _collection(manifest: Json) -> str:
    version, kind = manifest["apiVersion"], manifest["kind"].lower() + "s"
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    return f"{root}/namespaces/{manifest['metadata']['namespace']}/{kind}"
