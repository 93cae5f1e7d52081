"""The site file and the environment, as typed values with units.

Read once, by `main`; all else gets what it needs handed down. Every mistake in the file is told, all at once,
with the key, what stands there and what was expected. Without a file the defaults make a complete bridge: this
machine as four virtual nodes, one partition, SQLite and a Unix socket in the data directory.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapters.kubernetes.profile import Profile
from bridge import settings_cluster, settings_mail, settings_reader
from bridge.core.errors import Refused
from bridge.core.nodes import Node, Site
from bridge.core.users import User
from bridge.settings_cluster import Machine
from bridge.settings_kubernetes import Reach

SYSTEM_SITE_FILE = Path("/etc/bridge/site.toml")
SYSTEM_DATA_DIRECTORY = Path("/var/lib/bridge")
DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where the bridge listens and who it listens to."""

    data_directory: Path
    """The database, the Unix socket, spools, keys."""
    socket: Path
    tcp_host: str | None = None
    """None: no TCP."""
    tcp_port: int = 7443
    tls_certificate: Path | None = None
    """PEM. None: one is made at the first start."""
    tls_key: Path | None = None
    tls_names: tuple[str, ...] = ()
    """More names and addresses for the certificate that is made."""
    operators: tuple[str, ...] = ()
    """Users who may act on everybody's jobs, beside root and the user that the bridge runs as."""
    max_token_seconds: int = 365 * 86400
    """The longest life of a token that may be asked for."""
    log_json: bool = False
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class Store:
    url: str
    """`sqlite:////path/bridge.db` or `postgresql+psycopg://user@host/name`."""
    requeue_window_seconds: float = 300.0
    """So long after its end a job can be requeued and keeps its environment."""
    first_job_id: int = 1
    """No new job gets a smaller id: who comes from another system goes on with its numbers."""


@dataclass(frozen=True, slots=True)
class Backend:
    name: str
    kind: str
    """local | kubernetes"""
    reach: Reach | None = None
    """How its cluster is reached, where it is a Kubernetes one."""
    profiles: tuple[Profile, ...] = ()
    """What its partitions are there."""


@dataclass(frozen=True, slots=True)
class TokenReview:
    """Callers with tokens of Kubernetes."""

    backend: str
    """The backend whose cluster is asked."""
    audiences: tuple[str, ...] = ()
    """Whom the tokens must be meant for; empty: for the cluster's API."""
    users: tuple[tuple[str, str], ...] = ()
    """(Kubernetes' name, ours)"""


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds after a job's end. None: kept for ever."""

    jobs_seconds: float | None = None
    history_seconds: float | None = None
    scripts_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    file: Path | None
    """None: there is none, these are the defaults."""
    server: Server
    store: Store
    backends: tuple[Backend, ...]
    nodes: tuple[Node, ...]
    site: Site
    users: tuple[User, ...] = ()
    """Known beside those of the host."""
    retention: Retention = field(default_factory=Retention)
    mail: settings_mail.Mail | None = None
    """None: none is sent."""
    token_review: TokenReview | None = None
    """None: only the bridge's own tokens hold."""

    @property
    def serves_all(self) -> bool:
        """Whoever the bridge runs as: none of its jobs is a process of its own, so anybody's may run."""
        return all(backend.kind != "local" for backend in self.backends)


def load(given: str | None, environ: Mapping[str, str], machine: Machine) -> Settings:
    """`given`: the file named on the command line. Refused (SiteFileError) names all mistakes."""
    file = find_file(given, environ, machine)
    if file is None:
        return read("", None, environ, machine)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise Refused(f"the site file {file} cannot be read: {why}", code="invalid_site_file") from error
    return read(text, file, environ, machine)


def find_file(given: str | None, environ: Mapping[str, str], machine: Machine) -> Path | None:
    """A file that is named must be there; the usual places may be empty."""
    named = given or environ.get("BRIDGE_SITE")
    if named:
        return Path(named)
    own = Path(environ.get("XDG_CONFIG_HOME") or Path(machine.home) / ".config") / "bridge" / "site.toml"
    return next((path for path in (SYSTEM_SITE_FILE, own) if path.exists()), None)


def default_data_directory(environ: Mapping[str, str], machine: Machine) -> Path:
    if environ.get("BRIDGE_DATA"):
        return Path(environ["BRIDGE_DATA"])
    if machine.uid == 0:
        return SYSTEM_DATA_DIRECTORY
    return Path(environ.get("XDG_DATA_HOME") or Path(machine.home) / ".local" / "share") / "bridge"


def read(text: str, file: Path | None, environ: Mapping[str, str], machine: Machine) -> Settings:
    problems = settings_reader.Problems(str(file or "defaults"))
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.add("", settings_reader.Said("no TOML"), f"TOML ({error})")
        problems.raise_if_any()
    root = settings_reader.Table(values, "", problems)
    server = _server(root.table("server"), default_data_directory(environ, machine), problems)
    cluster = settings_cluster.read(root, machine, problems)
    made = Settings(
        file=file,
        server=server,
        store=_store(root.table("store"), server.data_directory, cluster.site.min_job_age_seconds, problems),
        backends=tuple(_backend(name, kind, cluster) for name, kind in cluster.backends),
        nodes=cluster.nodes,
        site=cluster.site,
        users=settings_cluster.read_users(root, problems),
        retention=_retention(root.table("retention")),
        mail=settings_mail.read(root.table("mail")),
        token_review=_token_review(root, [name for name, kind in cluster.backends if kind == "kubernetes"]),
    )
    root.close()
    problems.raise_if_any()
    return replace(made, site=replace(made.site, sends_mail=made.mail is not None))


def _backend(name: str, kind: str, cluster: settings_cluster.Cluster) -> Backend:
    partitions = [partition.name for partition in cluster.site.partitions if partition.backend == name]
    profiles = tuple(cluster.profiles[one] for one in partitions if one in cluster.profiles)
    return Backend(name, kind, cluster.kubernetes.get(name), profiles)


def _server(table: settings_reader.Table, default_directory: Path, problems: settings_reader.Problems) -> Server:
    data_directory = Path(_absolute(table, "data_directory", str(default_directory)))
    socket = Path(_absolute(table, "socket", str(data_directory / "run" / "bridge.sock")))
    if len(os.fsencode(socket)) > 107:  # sun_path of Linux
        table.wrong("socket", str(socket), "a path of at most 107 bytes: set a shorter server.socket or data_directory")
    certificate = table.text("tls_certificate", expected="an absolute path", fits=os.path.isabs)
    key = table.text("tls_key", expected="an absolute path", fits=os.path.isabs)
    if (certificate is None) != (key is None):
        missing = "tls_key" if key is None else "tls_certificate"
        table.wrong(missing, settings_reader.Said("nothing"), "tls_certificate and tls_key together, or neither")
    server = Server(
        data_directory=data_directory,
        socket=socket,
        tcp_host=table.text("tcp_host", expected='an address to listen on, such as "127.0.0.1"'),
        tcp_port=table.count("tcp_port", 7443, 0, 65535),
        tls_certificate=Path(certificate) if certificate else None,
        tls_key=Path(key) if key else None,
        tls_names=table.texts("tls_names") or (),
        operators=table.texts("operators") or (),
        max_token_seconds=table.count("max_token_seconds", 365 * 86400, 1),
        log_json=table.choice("log_format", "text", ("text", "json")) == "json",
        log_level=table.choice("log_level", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    )
    table.close()
    return server


def _absolute(table: settings_reader.Table, name: str, default: str) -> str:
    return table.text(name, default, expected="an absolute path", fits=os.path.isabs) or default


def _store(
    table: settings_reader.Table, data_directory: Path, min_job_age_seconds: int, problems: settings_reader.Problems
) -> Store:
    default = f"sqlite:///{data_directory / 'bridge.db'}"
    url = table.text(
        "url",
        default,
        expected='"sqlite:////path/to/file" or "postgresql+psycopg://user@host/name"',
        fits=lambda value: value.startswith(("sqlite:////", "postgresql://", "postgresql+psycopg://")),
    )
    window = table.number("requeue_window_seconds", None)
    least = float(min_job_age_seconds)  # as long as a job can be requeued its environment is needed
    if window is not None and window < least:
        problems.add(
            "store.requeue_window_seconds", window, f"at least cluster.min_job_age_seconds, {min_job_age_seconds}"
        )
    first_job_id = table.count("first_job_id", 1, 1, 0x03FF0000)
    table.close()
    return Store(url or default, max(300.0, least) if window is None else window, first_job_id)


def _token_review(root: settings_reader.Table, clusters: list[str]) -> TokenReview | None:
    if "token_review" not in root:
        return None
    table = root.table("token_review")
    users = table.table("users")
    made = TokenReview(
        backend=table.text(
            "backend",
            clusters[0] if clusters else None,
            expected=f"a backend that is a Kubernetes cluster ({', '.join(clusters) or 'there is none'})",
            fits=lambda value: value in clusters,
        )
        or "",
        audiences=table.texts("audiences") or (),
        users=tuple((name, users.text(name, expected="the name of a user") or "") for name in users.names()),
    )
    if not clusters:
        table.wrong("backend", settings_reader.Said("nothing"), "a backend that is a Kubernetes cluster")
    table.close()
    return made


def _retention(table: settings_reader.Table) -> Retention:
    days = [table.number(f"{what}_days", None) for what in ("jobs", "history", "scripts")]
    table.close()
    return Retention(*(None if one is None else one * DAY_SECONDS for one in days))
