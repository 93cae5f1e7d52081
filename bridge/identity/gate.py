"""From a connection and its headers to the caller, or a refusal.

A Unix socket's caller is whom the kernel names; a token says more and is believed first. All that is said of the
user, the groups too, is looked up here. Tokens are never logged, and never repeated in an answer.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from bridge.core.errors import NotPermitted, Refused
from bridge.core.job import ON_NODES, Job
from bridge.core.users import Caller, User
from bridge.identity import tokens
from bridge.identity.peer import Peer
from bridge.identity.people import People
from bridge.identity.tokens import Claims, NotAuthenticated
from bridge.store.store import Store

REVOKED_KEPT_SECONDS = 2.0
"""How long another process's revocation may go unseen."""

Headers = Iterable[tuple[bytes, bytes]]


class Gate:
    def __init__(
        self,
        store: Store,
        people: People,
        key: bytes,
        *,
        operators: Sequence[str] = (),
        own_uid: int,
        serves_all: bool = False,
        max_token_seconds: int = 365 * 86400,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`own_uid`: the bridge's. If it is not root's, that user alone is served, unless it `serves_all`: where no
        job runs as a process of its own, its uid does not matter."""
        self._store = store
        self._people = people
        self._key = key
        self._operators = frozenset(operators)
        self._own_uid = own_uid
        self._serves_all = serves_all
        self._max_token_seconds = max_token_seconds
        self._now = now
        self.is_admin: Callable[[str], bool] = lambda name: False
        """Whether accounting makes the user an operator (AdminLevel); set where there is accounting."""
        self.review: Callable[[str], Awaitable[str | None]] | None = None
        """Whom a token of Kubernetes' names, if it holds; set where such callers are served."""
        self.reviewed_users: Mapping[str, str] = {}
        """Kubernetes' name of a caller → ours. Nobody else is let in by such a token."""
        self._revoked: set[str] = set()
        self._revoked_until = 0.0

    # ── who calls ─────────────────────────────────────────────────────────────────────────────────

    async def admit(self, peer: Peer | None, headers: Headers) -> Caller:
        """NotAuthenticated: nobody knows who it is. NotPermitted: it is known, and not served."""
        token, name = _credentials(headers)
        if peer is not None:
            self._serve_uid(peer.uid)
        if token is not None:
            caller = await self._by_token(token, peer)
        elif peer is not None:
            caller = await self._by_peer(peer)
        else:
            raise NotAuthenticated("a token is needed: X-SLURM-USER-TOKEN, or Authorization: Bearer")
        self._serve_uid(caller.user.uid)
        return caller if name is None or name == caller.user.name else await self._acting_for(caller, name)

    def _serve_uid(self, uid: int) -> None:
        if self._own_uid not in (0, uid) and not self._serves_all:
            raise NotPermitted(f"this bridge serves uid {self._own_uid} alone", code="not_served")

    async def _by_peer(self, peer: Peer) -> Caller:
        user = await self._people.find_soon(peer.uid)
        if user is None:
            raise NotPermitted(f"no user has the uid {peer.uid} here", code="unknown_user")
        return Caller(user, self.is_operator(user))

    async def _by_token(self, token: str, peer: Peer | None) -> Caller:
        if self.review is not None and not tokens.is_ours(token):
            return await self._by_review(token, self.review)
        claims = tokens.verify(self._key, token, self._store.instance_id, self._now())
        await self._refuse_revoked(claims)
        user = await self._people.find_soon(claims.user)
        if user is None or user.uid != claims.uid:
            raise NotAuthenticated("the token's user is not known here any more")
        if claims.job_id is None:
            return Caller(user, self.is_operator(user))
        if peer is not None and peer.uid not in (0, claims.uid):
            raise NotAuthenticated("the token is of another user's job")
        await self._refuse_ended(claims)
        return Caller(user, is_operator=False, job_id=claims.job_id)

    async def _by_review(self, token: str, review: Callable[[str], Awaitable[str | None]]) -> Caller:
        """Kubernetes says who it is; what that user is here stands in the site file and at the host."""
        foreign = await review(token)
        if foreign is None:
            raise NotAuthenticated("neither this bridge nor Kubernetes knows the token")
        name = self.reviewed_users.get(foreign)
        user = None if name is None else await self._people.find_soon(name)
        if user is None:
            raise NotPermitted(f"{foreign} of Kubernetes is no user here", code="unknown_user")
        return Caller(user, self.is_operator(user))

    async def _refuse_revoked(self, claims: Claims) -> None:
        now = self._now()
        if now >= self._revoked_until:
            self._revoked = await self._store.revoked_tokens(now)
            self._revoked_until = now + REVOKED_KEPT_SECONDS
        if claims.id in self._revoked:
            raise NotAuthenticated("the token was revoked", code="token_revoked")

    async def _refuse_ended(self, claims: Claims) -> None:
        assert claims.job_id is not None
        job = await self._store.find_by_raw_id(claims.job_id)
        is_on_nodes = job is not None and job.state in ON_NODES and job.attempt == claims.attempt
        if job is None or not is_on_nodes or job.request.uid != claims.uid:
            raise NotAuthenticated("the token's job has ended", code="token_expired")

    async def _acting_for(self, caller: Caller, name: str) -> Caller:
        """X-SLURM-USER-NAME: with the other's rights, no more. As in Slurm operators cannot become others, or they
        could run what they like as root."""
        if caller.user.uid != 0:
            raise NotPermitted("only root may act for another user", code="access_denied")
        user = await self._people.find_soon(name)
        if user is None:
            raise NotPermitted("the user to act for is not known here", code="unknown_user")
        self._serve_uid(user.uid)
        return Caller(user, self.is_operator(user))

    def is_operator(self, user: User) -> bool:
        return user.uid in (0, self._own_uid) or user.name in self._operators or self.is_admin(user.name)

    # ── tokens ────────────────────────────────────────────────────────────────────────────────────

    def issue(self, user: User, lifespan_seconds: float | None) -> str:
        """A token with which whoever holds it is `user`. None: for as long as may be."""
        if lifespan_seconds is None:
            lifespan_seconds = self._max_token_seconds
        if not 1 <= lifespan_seconds <= self._max_token_seconds:
            raise Refused(
                f"a token lives from 1 to {self._max_token_seconds} seconds", code="invalid_lifespan", field="lifespan"
            )
        now = self._now()
        return tokens.sign(self._key, replace(self._claims(user, now), expires_at=now + lifespan_seconds))

    def issue_for_job(self, job: Job, user: User) -> str:
        """Holds while this attempt of the job is on nodes."""
        claims = self._claims(user, self._now())
        return tokens.sign(self._key, replace(claims, job_id=job.id, attempt=job.attempt))

    def _claims(self, user: User, now: float) -> Claims:
        return Claims(tokens.new_id(), self._store.instance_id, user.name, user.uid, now, None)

    async def revoke(self, caller: Caller, token: str) -> None:
        """By its user or an operator. One that is over already needs no mark."""
        claims = tokens.verify(self._key, token, self._store.instance_id, self._now())
        if claims.uid != caller.user.uid and not caller.is_operator:
            raise NotPermitted("the token is another user's", code="access_denied")
        # A job's token ends with its attempt; nobody knows when that is. The mark outlives any job worth the name.
        until = claims.expires_at if claims.expires_at is not None else self._now() + self._max_token_seconds
        await self._store.revoke_token(claims.id, until)
        self._revoked_until = 0.0


def _credentials(headers: Headers) -> tuple[str | None, str | None]:
    """(token, name of the user to act for)"""
    found: dict[str, str] = {}
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name == b"x-slurm-user-token":
            _put(found, "token", text)
        elif name == b"authorization":
            scheme, _, rest = text.partition(" ")
            if scheme.lower() != "bearer":
                raise NotAuthenticated("Authorization must be of the kind Bearer")
            _put(found, "token", rest.strip())
        elif name == b"x-slurm-user-name":
            _put(found, "name", text)
    return found.get("token"), found.get("name")


def _put(found: dict[str, str], what: str, text: str) -> None:
    """Two answers to "who are you" are none: a proxy may look at one and we at the other."""
    if found.setdefault(what, text) != text:
        raise NotAuthenticated("the request says twice, and differently, who calls")
