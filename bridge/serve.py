"""The running bridge: its parts made from the settings, joined, started, and stopped again.

A stop leaves jobs alone: what runs goes on, and the next start finds it.
"""

import asyncio
import contextlib
import datetime
import gc
import importlib.metadata
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.slurm import slurm_conf
from adapters.slurm.scontrol_config import Installation
from bridge import listener, settings, settings_cluster, settings_kubernetes, settings_mail
from bridge.backends.local.backend import LocalBackend
from bridge.backends.port import Backend
from bridge.cli import shims
from bridge.core.errors import BridgeError, Refused, Unavailable
from bridge.core.nodes import Node
from bridge.identity import tls, tokens
from bridge.identity.gate import Gate
from bridge.identity.people import People, group_name
from bridge.reconcile import retention
from bridge.reconcile.loop import Reconciler
from bridge.reconcile.mailer import Mailer, MailSettings
from bridge.rest import application
from bridge.service.service import Service
from bridge.slurmcli import router as commands
from bridge.slurmrest import application as slurmrest
from bridge.store import schema
from bridge.store.records import Ages
from bridge.store.store import Store

log = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0
"""After a failure of a task that must run for ever."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs, joined."""

    store: Store
    service: Service
    gate: Gate
    people: People
    backends: dict[str, Backend]


async def serve(found: settings.Settings) -> None:
    """Until SIGTERM or SIGINT. Says on standard output when it is ready, in one line."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    make_data_directory(found.server.data_directory)
    write_slurm_conf(found)
    make_first_schema(found.store.url)
    async with opened(found) as parts:
        app = application.make(
            parts.service,
            parts.gate,
            parts.people,
            stopping,
            version=version(),
            others=[
                commands.make(
                    parts.service,
                    parts.gate.issue,
                    parts.people.find,
                    installation(found, parts),
                    reload=lambda: reconfigure(found, parts),
                )
            ],
        )
        app = slurmrest.make(app, parts.service, parts.gate, parts.people)
        certificate = certificate_of(found, socket.gethostname()) if found.server.tcp_host else None
        listeners = _listeners(found.server, app, certificate)
        tasks = [
            asyncio.create_task(_for_ever("reconciler", lambda: _reconcile(parts))),
            asyncio.create_task(_for_ever("retention", lambda: _forget(parts, found.retention))),
            asyncio.create_task(_for_ever("mail", lambda: _send_mail(parts, found.mail))),
            *(asyncio.create_task(one.run_until_stopped()) for one in listeners),
        ]
        try:
            for one in listeners:
                await one.ready.wait()
            _make_start_cheap()
            _say_ready(found.server, certificate)
            await stopping.wait()
            log.info("stopping; jobs go on")
        finally:
            parts.service.stopping.set()
            for one in listeners:
                one.stop()
            await asyncio.gather(*tasks[3:], return_exceptions=True)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    log.info("stopped")


# ── making ────────────────────────────────────────────────────────────────────────────────────────


def version() -> str:
    try:
        return importlib.metadata.version("bridge")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def make_data_directory(path: Path) -> None:
    """Nobody but its owner may write there; root's may be passed through, because jobs' spools lie in it."""
    try:
        for folder, mode in ((path, 0o711 if os.geteuid() == 0 else 0o700), (path / "keys", 0o700)):
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        status = path.stat()
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
            raise Unavailable(f"the data directory {path} must belong to the bridge's user, writable by nobody else")
        shims.write(str(path / "bin"))
    except shims.NotOurs as error:
        raise Unavailable(f"the data directory {path} cannot be used: {error}") from error
    except OSError as error:
        raise Unavailable(f"the data directory {path} cannot be used: {error.strerror}: {error.filename}") from error


def write_slurm_conf(found: settings.Settings) -> None:
    """What SLURM_CONF names in jobs; in one step, because jobs may be reading it."""
    path = found.server.data_directory / "slurm.conf"
    new = path.with_suffix(".new")
    new.write_text(slurm_conf.text(found.site, found.nodes, socket.gethostname()), encoding="utf-8")
    new.chmod(0o644)
    new.replace(path)


def make_first_schema(url: str) -> None:
    """Of a database without any. One that has an older schema waits for `bridge db upgrade`."""
    if schema.current(url) is None:
        schema.upgrade(url)


@contextlib.asynccontextmanager
async def opened(found: settings.Settings) -> AsyncIterator[Parts]:
    store = await Store.open(
        found.store.url,
        requeue_window_seconds=found.store.requeue_window_seconds,
        first_job_id=found.store.first_job_id,
    )
    try:
        people = People(found.users)
        backends = make_backends(found, store.instance_id)
        gate = Gate(
            store,
            people,
            tokens.load_key(found.server.data_directory / "keys"),
            operators=found.server.operators,
            own_uid=os.geteuid(),
            serves_all=found.serves_all,
            max_token_seconds=found.server.max_token_seconds,
        )
        service = Service(store, found.site, backends, people.find)
        await service.runtime.refresh()
        await service.accounting.book()
        gate.is_admin = service.accounting.is_admin
        async with _reviews(found, gate):
            yield Parts(store, service, gate, people, backends)
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def _reviews(found: settings.Settings, gate: Gate) -> AsyncIterator[None]:
    """Callers with tokens of Kubernetes are let in, where the site file says so."""
    wanted = found.token_review
    if wanted is None:
        yield
        return
    try:
        from bridge.backends.kubernetes.reviews import TokenReviews
        from bridge.backends.kubernetes.transport import Access
    except ImportError as error:
        raise Unavailable(f"[token_review] needs the extra `bridge[kubernetes]`: {error}") from error
    reach = next(one.reach for one in found.backends if one.name == wanted.backend) or settings_kubernetes.Reach()
    reviews = TokenReviews(Access(reach.kubeconfig, reach.context), wanted.audiences)
    gate.review, gate.reviewed_users = reviews.name_of, dict(wanted.users)
    try:
        yield
    finally:
        await reviews.close()


def make_backends(found: settings.Settings, instance: str) -> dict[str, Backend]:
    made: dict[str, Backend] = {}
    for backend in found.backends:
        nodes = [node for node in found.nodes if node.backend == backend.name]
        if backend.kind == "kubernetes":
            folder = found.server.data_directory / "output" / backend.name
            made[backend.name] = _kubernetes(backend, instance, nodes, _certificate_file(found.server), folder)
        else:
            made[backend.name] = LocalBackend(backend.name, str(found.server.data_directory), nodes)
    return made


def _kubernetes(
    backend: settings.Backend, instance: str, nodes: Sequence[Node], certificate: Path, output_folder: Path
) -> Backend:
    """Imported here: its client is an extra, and takes a second to load."""
    try:
        from bridge.backends.kubernetes.backend import KubernetesBackend
        from bridge.backends.kubernetes.transport import Access
    except ImportError as error:
        raise Unavailable(f"the backend {backend.name} needs the extra `bridge[kubernetes]`: {error}") from error
    reach = backend.reach or settings_kubernetes.Reach()
    profiles = {profile.name: profile for profile in backend.profiles}
    access = Access(reach.kubeconfig, reach.context)
    call_back = None if reach.url is None else (reach.url, str(certificate))
    return KubernetesBackend(backend.name, access, instance, profiles, nodes, call_back, str(output_folder))


def _certificate_file(server: settings.Server) -> Path:
    return server.tls_certificate or server.data_directory / "keys" / "tls.pem"


def installation(found: settings.Settings, parts: Parts) -> Installation:
    """What `scontrol show config` tells of this bridge."""
    uid = os.geteuid()
    user = parts.people.find(uid)
    server = found.server
    return Installation(
        host=socket.gethostname(),
        started_at=time.time(),
        address=server.tcp_host,
        port=None if server.tcp_host is None else server.tcp_port,
        user=user.name if user is not None else str(uid),
        uid=uid,
        data_directory=str(server.data_directory),
        site_file=None if found.file is None else str(found.file),
        mail_program=None if found.mail is None else found.mail.command[0],
    )


async def reconfigure(running: settings.Settings, parts: Parts) -> None:
    """The site file read again: nodes, partitions and the cluster's rules change at once, for jobs that wait too.

    Refused, with nothing changed, where the file is wrong or says what only a new start can do.
    """
    file = None if running.file is None else str(running.file)
    found = settings.load(file, os.environ, settings_cluster.this_machine())
    fixed = ("server", "store", "backends", "retention", "users", "mail", "token_review")
    changed = [name for name in fixed if getattr(found, name) != getattr(running, name)]
    if changed:
        raise Refused(f"[{'], ['.join(changed)}] of the site file change with a new start of the bridge only")
    for name, backend in parts.backends.items():
        if isinstance(backend, LocalBackend):
            backend.set_nodes([node for node in found.nodes if node.backend == name])
    write_slurm_conf(found)
    parts.service.replace_site(found.site)


def certificate_of(found: settings.Settings, host_name: str) -> tls.Certificate:
    server = found.server
    if server.tls_certificate is not None and server.tls_key is not None:
        certificate = tls.given(server.tls_certificate, server.tls_key)
    else:
        names = [host_name, "localhost", "127.0.0.1", "::1", *server.tls_names]
        if server.tcp_host and server.tcp_host not in ("0.0.0.0", "::"):  # noqa: S104 — compared, not bound
            names.append(server.tcp_host)
        now = datetime.datetime.now(datetime.UTC)
        certificate = tls.ensure(server.data_directory / "keys", names, now)
    if certificate.expires_at <= datetime.datetime.now(datetime.UTC):
        raise Unavailable(f"the certificate {certificate.certificate} expired on {certificate.expires_at:%Y-%m-%d}")
    return certificate


def _listeners(server: settings.Server, app: object, certificate: tls.Certificate | None) -> list[listener.Listener]:
    # As root everybody may connect: the kernel says who it is.
    mode = 0o666 if os.geteuid() == 0 else 0o600
    made = [listener.Listener(app, listener.bind_unix(server.socket, mode))]
    if server.tcp_host is not None:
        tcp = listener.bind_tcp(server.tcp_host, server.tcp_port)
        made.append(listener.Listener(app, tcp, certificate=certificate))
    return made


def _make_start_cheap() -> None:
    """What lives as long as the process need not be looked at by each collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _say_ready(server: settings.Server, certificate: tls.Certificate | None) -> None:
    line = f"bridge {version()} is ready at {server.socket}"
    if certificate is not None:
        line += f" and {server.tcp_host} port {server.tcp_port}, certificate SHA-256 {certificate.fingerprint}"
        log.info("certificate", extra={"path": certificate.certificate, "sha256": certificate.fingerprint})
    log.info("ready", extra={"socket": server.socket})
    with contextlib.suppress(BrokenPipeError):  # whoever waited for it may have gone
        print(line, flush=True)


# ── what runs all the time ────────────────────────────────────────────────────────────────────────


async def _reconcile(parts: Parts) -> None:
    reconciler = Reconciler(
        parts.store,
        parts.service,
        parts.backends,
        parts.people.find,
        parts.gate.issue_for_job,
        owner=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
    )
    await reconciler.run()


async def _forget(parts: Parts, wanted: settings.Retention) -> None:
    ages = Ages(wanted.jobs_seconds, wanted.history_seconds, wanted.scripts_seconds)
    await retention.keep_forgetting(parts.store, ages, parts.backends.values())


async def _send_mail(parts: Parts, wanted: settings_mail.Mail | None) -> None:
    if wanted is None:
        await asyncio.Event().wait()  # never: nothing is to be sent
        return
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    found = MailSettings(wanted.command, wanted.sender, wanted.domain)
    await Mailer(parts.store, found, parts.service.site.cluster_name, group_name, owner=owner).run()


async def _for_ever(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Again after a failure, from the beginning: what it knew is in the database."""
    while True:
        try:
            await run()
        except BridgeError as error:
            log.warning("a part failed and is started again", extra={"part": name, "why": error.sentence})
        except Exception:
            log.exception("a part failed and is started again", extra={"part": name})
        await asyncio.sleep(AGAIN_SECONDS)
