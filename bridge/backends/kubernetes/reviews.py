"""Whom a token of Kubernetes names: asked of the cluster by a TokenReview, and remembered for a short while."""

import asyncio
import hashlib
import time
from collections.abc import Callable

from bridge.backends.kubernetes.transport import Access, Transport
from bridge.core.errors import Refused, Unavailable

KEEP_SECONDS = 30.0
"""A token that is taken back holds so long at most."""
MOST_KEPT = 10_000
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"


class TokenReviews:
    def __init__(
        self, access: Access, audiences: tuple[str, ...] = (), *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`audiences`: whom tokens must be meant for; empty: for the cluster's own API."""
        self._transport = Transport(access)
        self._audiences = list(audiences)
        self._now = now
        self._kept: dict[bytes, tuple[float, str | None]] = {}
        self._opening = asyncio.Lock()
        self._is_open = False

    async def name_of(self, token: str) -> str | None:
        """None: the cluster does not know it. Raises Unavailable, also where we may not ask."""
        key = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._now():
            return kept[1]
        await self._open()
        spec: dict[str, object] = {"token": token}
        if self._audiences:
            spec["audiences"] = self._audiences
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            status = (await self._transport.create(_PATH, body)).get("status") or {}
        except Refused as error:
            raise Unavailable(f"the cluster does not tell us whose token it is: {error.sentence}") from error
        name = str(status["user"]["username"]) if status.get("authenticated") else None
        if name is not None and self._audiences and not set(self._audiences) & set(status.get("audiences") or ()):
            name = None  # an apiserver whose authenticator knows no audiences must not be taken for one that checked
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (self._now() + KEEP_SECONDS, name)
        return name

    async def _open(self) -> None:
        async with self._opening:
            if not self._is_open:
                await self._transport.open()
                self._is_open = True

    async def close(self) -> None:
        await self._transport.close()
