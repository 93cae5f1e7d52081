"""Signed tokens: who may call over TCP, and from within a job. Pure but for the key file.

A compact JSON Web Token, HMAC with SHA-256. There is one kind of header and it is compared byte for byte: a token
that names another algorithm, or none, is refused before anything of it is believed.
A token of a user has an end. A token of a job has none: it holds as long as that attempt is on nodes, which the
gate asks the store.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from bridge.core.errors import Refused, Unavailable

KEY_BYTES = 32
MAX_TOKEN_CHARACTERS = 4096


class NotAuthenticated(Refused):
    """Nobody knows who calls. Says why without repeating what came."""

    default_code = "not_authenticated"


@dataclass(frozen=True, slots=True)
class Claims:
    id: str
    audience: str
    """The instance that the token is for."""
    user: str
    uid: int
    issued_at: float
    expires_at: float | None
    """None: for tokens of jobs only."""
    job_id: int | None = None
    """The raw id."""
    attempt: int | None = None


def new_id() -> str:
    return secrets.token_urlsafe(12)


# ── signing ───────────────────────────────────────────────────────────────────────────────────────


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HEADER = _encode(b'{"alg":"HS256","typ":"JWT"}')


def sign(key: bytes, claims: Claims) -> str:
    payload: dict[str, object] = {
        "jti": claims.id,
        "aud": claims.audience,
        "sub": claims.user,
        "uid": claims.uid,
        "iat": claims.issued_at,
    }
    if claims.expires_at is not None:
        payload["exp"] = claims.expires_at
    if claims.job_id is not None:
        payload |= {"job": claims.job_id, "attempt": claims.attempt}
    signed = f"{_HEADER}.{_encode(json.dumps(payload, separators=(',', ':')).encode())}"
    return f"{signed}.{_signature(key, signed)}"


def _signature(key: bytes, signed: str) -> str:
    return _encode(hmac.digest(key, signed.encode(), hashlib.sha256))


def is_ours(token: str) -> bool:
    """Whether it looks like one of ours; nothing of it is believed yet."""
    return token.partition(".")[0] == _HEADER


def verify(key: bytes, token: str, audience: str, now: float) -> Claims:
    """What the token says, if it is ours, for `audience`, and not over."""
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii() or header != _HEADER:
        raise NotAuthenticated("the token is not one of this bridge's")
    if not hmac.compare_digest(signature.encode(), _signature(key, signed).encode()):
        raise NotAuthenticated("the token's signature is wrong")
    claims = _claims(payload)
    if claims.audience != audience:
        raise NotAuthenticated("the token is for another bridge")
    if claims.expires_at is not None and claims.expires_at <= now:
        raise NotAuthenticated("the token has expired", code="token_expired")
    return claims


def _claims(payload: str) -> Claims:
    """The signature is right, so this is our own writing; of another release perhaps."""
    try:
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        claims = Claims(
            id=str(found["jti"]),
            audience=str(found["aud"]),
            user=str(found["sub"]),
            uid=int(found["uid"]),
            issued_at=float(found["iat"]),
            expires_at=float(found["exp"]) if "exp" in found else None,
            job_id=int(found["job"]) if "job" in found else None,
            attempt=int(found["attempt"]) if "job" in found else None,
        )
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise NotAuthenticated("the token cannot be read") from error
    if claims.expires_at is None and claims.job_id is None:
        raise NotAuthenticated("the token has no end")
    return claims


# ── the key ───────────────────────────────────────────────────────────────────────────────────────


def load_key(directory: Path) -> bytes:
    """The signing key, made on first use. `directory` is the bridge's own (0700)."""
    path = directory / "token.key"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.path.lexists(path):
        write_secret(path, secrets.token_bytes(KEY_BYTES))
    key = read_secret(path)
    if len(key) < KEY_BYTES:
        raise Unavailable(f"{path} has {len(key)} bytes, a key has {KEY_BYTES}: remove it to have a new one made")
    return key


def write_secret(path: Path, data: bytes) -> None:
    """Whole or not at all, 0600 from the beginning. One that is there already is left alone."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was quicker; its secret counts
            os.link(draft, path)
    finally:
        draft.unlink()


def read_secret(path: Path) -> bytes:
    """Refuses what others could read or have put there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o077:
            raise Unavailable(
                f"{path} must belong to the bridge's user and be readable by nobody else (chmod 600); "
                "what others could read is no secret: remove it to have a new one made"
            )
        return file.read(1 << 16)
