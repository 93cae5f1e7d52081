"""The one place that talks to Kubernetes: raw JSON in and out, errors as ours with the cluster's own sentence.

The official client gives the connection, the credentials and their renewal; its models are not used, because they
drop fields that they do not know. Writes may be repeated by whoever calls: here a 429 or a 5xx is tried again.
"""

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.configuration import Configuration

from adapters.kubernetes import names
from bridge.core.errors import BridgeError, Gone, Refused, Unavailable

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

_CALL_SECONDS = 30.0
_IDLE_SECONDS = 150.0
"""A watch has a bookmark about every minute; one that is silent for longer is dead."""
_TRIES = 4
_MOST_WAIT_SECONDS = 10.0
_MOST_SENTENCE = 600
_WRITES = ("POST", "PUT", "PATCH")
_EXEC_PROTOCOL = "v5.channel.k8s.io"
_STDOUT, _STDERR, _STATUS = 1, 2, 3


class Exists(BridgeError):
    """An object of that name is there."""

    default_code = "exists"


class Expired(BridgeError):
    """The changes since that version are no longer kept: list again."""

    default_code = "expired"


class NotAllowed(Refused):
    """Our own rights do not reach that far; not a quota or an admission rule."""

    default_code = "not_allowed"


@dataclass(frozen=True, slots=True)
class Access:
    """How the cluster is reached."""

    kubeconfig: str | None = None
    """None: the service account of the pod that we run in, else the user's usual file."""
    context: str | None = None


class Transport:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._client: Any = None
        self._gate = asyncio.Semaphore(32)
        """Requests at a time; streams are not counted."""

    async def open(self) -> None:
        """Raises Unavailable when no way to the cluster is configured."""
        configuration = Configuration()
        configuration.connection_pool_maxsize = 0
        try:
            if self._access.kubeconfig is None and await asyncio.to_thread(_is_in_cluster):
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await config.load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=self._access.kubeconfig,
                    context=self._access.context,
                    client_configuration=configuration,
                )
            self._client = client.ApiClient(configuration=configuration)
        except (config.ConfigException, OSError, ssl.SSLError) as error:
            raise Unavailable(f"no way to the Kubernetes cluster: {error}") from error

    @property
    def host(self) -> str:
        """The API server's address; empty before `open`."""
        return "" if self._client is None else str(self._client.configuration.host)

    async def close(self) -> None:
        if self._client is not None:
            made, self._client = self._client, None
            await made.close()

    # ── single requests ───────────────────────────────────────────────────────────────────────────

    async def get(self, path: str, query: Mapping[str, Any] | None = None, accept: str = "application/json") -> Json:
        return await self._call("GET", path, query, accept=accept)

    async def create(self, path: str, manifest: Json, *, dry_run: bool = False) -> Json:
        """Raises Exists, Refused, Unavailable."""
        query = {"dryRun": "All"} if dry_run else None
        return await self._call("POST", path, query, manifest)

    async def patch(self, path: str, change: Any, content_type: str = MERGE_PATCH) -> Json:
        return await self._call("PATCH", path, None, change, content_type=content_type)

    async def delete(
        self, path: str, *, uid: str | None = None, policy: str = "Background", grace_seconds: int | None = None
    ) -> None:
        """What is gone already is deleted; so is what has another uid than the one meant."""
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        with contextlib.suppress(Gone, Exists):
            await self._call("DELETE", path, None, options)

    async def delete_all(self, path: str, selector: str) -> None:
        """Every object of a collection that the labels select."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        await self._call("DELETE", path, {"labelSelector": selector}, options)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Json:
        if method in _WRITES:
            query = {**(query or {}), "fieldManager": names.FIELD_MANAGER, "fieldValidation": "Strict"}
        for tried in range(1, _TRIES + 1):
            async with self._gate:
                try:
                    status, headers, data = await self._exchange(method, path, query, body, content_type, accept)
                except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
                    raise Unavailable(f"the Kubernetes API does not answer: {_text_of(error)}") from error
            if status < 300:
                answer = json.loads(data)
                assert isinstance(answer, dict)
                return answer
            wait = _wait_seconds(status, headers, data, tried)
            if wait is None or tried == _TRIES:
                raise error_of(status, data)
            await asyncio.sleep(wait)
        raise AssertionError("the last try raises")

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        content_type: str,
        accept: str,
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": accept, "Content-Type": content_type}
        timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
        answer = await self._send(method, path, query, headers, body, timeout)
        return answer.status, answer.headers, await answer.read()

    async def _send(
        self, method: str, path: str, query: Any, headers: dict[str, str], body: Any, within: aiohttp.ClientTimeout
    ) -> Any:
        made = self._client
        if made is None:
            raise Unavailable("the connection to Kubernetes is closed")
        for setting in (await made.configuration.auth_settings()).values():
            headers[setting["key"]] = setting["value"]
        url = made.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        return await made.rest_client.request(method, url, headers=headers, body=body, _request_timeout=within)

    # ── streams ───────────────────────────────────────────────────────────────────────────────────

    async def list_all(
        self, path: str, query: Mapping[str, Any], accept: str = "application/json"
    ) -> tuple[list[Json], str]:
        """(items, the version from which to watch on)."""
        items: list[Json] = []
        asked: dict[str, Any] = {**query, "limit": 500}
        while True:
            page = await self.get(path, asked, accept)
            items += page.get("items") or []
            token = page["metadata"].get("continue")
            if not token:
                return items, page["metadata"]["resourceVersion"]
            asked["continue"] = token

    async def watch(self, path: str, query: Mapping[str, Any], version: str) -> AsyncGenerator[tuple[str, Json], None]:
        """(ADDED | MODIFIED | DELETED | BOOKMARK, object). Ends with the stream. Raises Expired, Unavailable."""
        asked = {
            **query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": random.randint(240, 480),  # noqa: S311 — so that not all end at once
        }
        async with contextlib.aclosing(self._lines(path, asked)) as lines:
            async for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise error_of(int(event["object"].get("code") or 500), json.dumps(event["object"]).encode())
                yield event["type"], event["object"]

    async def log(self, namespace: str, pod: str, container: str) -> AsyncGenerator[bytes, None]:
        """Lines of a container's output, from the first, until it has ended. Raises Gone, Unavailable."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        async with contextlib.aclosing(
            self._lines(path, {"container": container, "follow": "true"}, is_patient=True)
        ) as lines:
            async for line in lines:
                yield line

    async def _lines(
        self, path: str, query: Mapping[str, Any], *, is_patient: bool = False
    ) -> AsyncGenerator[bytes, None]:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CALL_SECONDS, sock_read=None if is_patient else _IDLE_SECONDS
        )
        headers = {"Accept": "*/*" if is_patient else "application/json"}
        answer: Any = None
        try:
            answer = (await self._send("GET", path, query, headers, None, timeout)).response
            if answer.status >= 300:
                raise error_of(answer.status, await answer.read())
            rest = b""
            async for part in answer.content.iter_any():
                *whole, rest = (rest + part).split(b"\n")
                for line in whole:
                    if line:
                        yield line
        except aiohttp.SocketTimeoutError:
            return  # nothing happened for long, or the connection is dead: asked for anew
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"a stream of the Kubernetes API broke off: {_text_of(error)}") from error
        finally:
            if answer is not None:
                answer.close()

    async def execute(self, namespace: str, pod: str, container: str, command: list[str]) -> bytes:
        """Standard output of a program that is run in the container. Raises Gone, Unavailable."""
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return b"".join([part async for part in self.output_of(namespace, pod, container, command)])
        except TimeoutError as error:
            raise Unavailable(f"pod {pod} takes no commands now: no end in time") from error

    async def output_of(
        self, namespace: str, pod: str, container: str, command: list[str]
    ) -> AsyncGenerator[bytes, None]:
        """The same in parts, as it comes, however long it takes."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        words = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", w) for w in command)]
        made = self._client
        if made is None:
            raise Unavailable("the connection to Kubernetes is closed")
        headers = {setting["key"]: setting["value"] for setting in (await made.configuration.auth_settings()).values()}
        url = f"{made.configuration.host}{path}?{urlencode(words)}"
        if made.rest_client.pool_manager is None:
            made.rest_client.pool_manager = made.rest_client._create_pool_manager()
        session: aiohttp.ClientSession = made.rest_client.pool_manager
        try:
            async with session.ws_connect(
                url,
                headers=headers,
                protocols=(_EXEC_PROTOCOL, "v4.channel.k8s.io"),
                timeout=aiohttp.ClientWSTimeout(ws_receive=_CALL_SECONDS),
                max_msg_size=0,
            ) as socket:
                async for part in _read_exec(socket):
                    yield part
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (400, 404, 409):
                raise Gone(f"pod {pod} takes no commands: {error.status} {error.message}") from error
            raise Unavailable(f"pod {pod} takes no commands now: {error.status} {error.message}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"pod {pod} takes no commands now: {_text_of(error)}") from error


async def _read_exec(socket: aiohttp.ClientWebSocketResponse) -> AsyncGenerator[bytes, None]:
    told = b""
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == _STDOUT:
            yield data
        elif channel == _STDERR:
            told += data
        elif channel == _STATUS:
            status = json.loads(data)
            if status.get("status") != "Success":
                raise Gone(f"{status.get('message', 'the command failed')} {told.decode(errors='replace')[-300:]}")
            return
    raise Unavailable("the command's end was not told")


# ── errors ────────────────────────────────────────────────────────────────────────────────────────


def error_of(status: int, data: bytes) -> BridgeError:
    """Ours, with the cluster's sentence. A path that is unknown may be answered in plain text."""
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {}
    answer = answer if isinstance(answer, dict) else {}
    sentence = str(answer.get("message") or data.decode(errors="replace").strip() or f"status {status}")
    sentence = sentence[:_MOST_SENTENCE]
    reason = answer.get("reason")
    if status == 404:
        return Gone(sentence)
    if status == 410 or reason in ("Expired", "Gone"):
        return Expired(sentence)
    if status == 409:
        # Conflict: what is to be deleted is another than the one meant, or somebody else changed it meanwhile.
        return Exists(sentence)
    if status == 401:
        return Unavailable(f"Kubernetes does not know us: {sentence}")
    if status == 403 and "exceeded quota" not in sentence and " cannot " in sentence:
        return NotAllowed(sentence)
    if status in (400, 403, 405, 413, 415, 422):
        return Refused(sentence)
    return Unavailable(f"the Kubernetes API answers {status}: {sentence}")


def _wait_seconds(status: int, headers: Mapping[str, str], data: bytes, tried: int) -> float | None:
    """Before the next try; None: another try would bring nothing."""
    if status not in (429, 500, 502, 503, 504):
        return None
    if status == 429 and b"DisruptionBudget" in data:
        return None
    told = headers.get("Retry-After", "")
    wait = float(told) if told.isdigit() else 0.1 * 2**tried
    return min(_MOST_WAIT_SECONDS, wait) * random.uniform(1.0, 1.3)  # noqa: S311 — so that not all come back at once


def _text_of(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _is_in_cluster() -> bool:
    with contextlib.suppress(OSError), open("/var/run/secrets/kubernetes.io/serviceaccount/token", "rb"):
        return True
    return False
