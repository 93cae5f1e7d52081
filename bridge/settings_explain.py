"""What the settings mean, in sentences for the person who wrote them. Pure; `bridge check` prints it."""

from collections.abc import Iterator

from adapters.slurm import hostlist
from bridge.core.nodes import Node, Partition
from bridge.settings import DAY_SECONDS, Settings


def sentences(settings: Settings, uid: int) -> Iterator[str]:
    """`uid`: of the user that the bridge will run as."""
    yield f"The site file is {settings.file}." if settings.file else "There is no site file: these are the defaults."
    yield from _server(settings, uid)
    yield from _nodes(settings.nodes)
    for partition in settings.site.partitions:
        yield _partition(partition)
    if settings.site.default_partition is None:
        yield "No partition is the default: a job that names none is refused."
    yield from _rules(settings)


def _server(settings: Settings, uid: int) -> Iterator[str]:
    server = settings.server
    yield f"The state is kept in {_without_password(settings.store.url)}, other data in {server.data_directory}."
    if uid == 0:
        yield f"Everybody on this host may use the Unix socket {server.socket}; the kernel says who calls."
    elif settings.serves_all:
        yield f"Anybody with a token is served; only uid {uid} may use the Unix socket {server.socket}."
    else:
        yield f"Only uid {uid} is served, over the Unix socket {server.socket}: the bridge does not run as root."
    if server.tcp_host is None:
        yield "It does not listen on TCP."
    else:
        made = (
            "its own certificate, made at the first start" if server.tls_certificate is None else server.tls_certificate
        )
        yield f"It listens on {server.tcp_host} port {server.tcp_port} with TLS ({made}); callers bring a token."
    if settings.token_review is not None:
        names = ", ".join(f"{foreign} as {name}" for foreign, name in settings.token_review.users) or "nobody"
        yield f"Tokens of the cluster of the backend {settings.token_review.backend} let in: {names}."
    if server.operators:
        yield f"Operators beside root: {', '.join(server.operators)}."
    if settings.users:
        yield f"Users known beside the host's: {', '.join(user.name for user in settings.users)}."


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}://{credentials.partition(':')[0]}{at}{place}"


def _nodes(nodes: tuple[Node, ...]) -> Iterator[str]:
    alike: dict[tuple[object, ...], list[str]] = {}
    for node in nodes:
        alike.setdefault((node.backend, node.cpus, node.memory_mib, node.gres, node.features), []).append(node.name)
    for (backend, cpus, memory_mib, *_), names in alike.items():
        node = next(node for node in nodes if node.name == names[0])
        gres = "".join(f", {count} {kind + ' ' if kind else ''}{name}" for name, kind, count in node.gres)
        features = f"; features {', '.join(node.features)}" if node.features else ""
        kind = "node" if len(names) == 1 else "nodes"
        each = "" if len(names) == 1 else " each"
        yield (
            f"Backend {backend} has {len(names)} {kind}, {hostlist.compress(names)}: "
            f"{cpus} {'CPU' if cpus == 1 else 'CPUs'} and {memory_mib} MiB{gres}{each}{features}."
        )


def _partition(partition: Partition) -> str:
    parts = [f"Partition {partition.name} has {hostlist.compress(list(partition.nodes)) or 'no nodes'}"]
    if partition.is_default:
        parts.append("is the default")
    parts.append(f"lets jobs run {_span(partition.max_time_seconds)}")
    if partition.default_time_seconds is not None:
        parts.append(f"{_span(partition.default_time_seconds)} when they name no limit")
    if partition.default_memory_per_cpu_mib is not None:
        parts.append(f"gives {partition.default_memory_per_cpu_mib} MiB a CPU when they name no memory")
    for who, names in (
        ("users", partition.allow_users),
        ("groups", partition.allow_groups),
        ("accounts", partition.allow_accounts),
    ):
        if names is not None:
            parts.append(f"takes jobs of the {who} {', '.join(names) or '(none)'} only")
    if partition.state != "UP":
        parts.append(f"is {partition.state}")
    return ", ".join(parts) + "."


def _span(seconds: int | None) -> str:
    if seconds is None:
        return "without limit"
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return f"at most {f'{days}-' if days else ''}{hours:02d}:{minutes:02d}:{rest:02d}"


def _rules(settings: Settings) -> Iterator[str]:
    site = settings.site
    yield (
        f"The cluster is called {site.cluster_name}; an array's indices stay below {site.max_array_size}; a job that "
        f"is to end has {site.kill_wait_seconds} s between SIGTERM and SIGKILL."
    )
    yield (
        "A job whose dependency can never be met is cancelled."
        if site.kill_invalid_depend
        else "A job whose dependency can never be met stays in the queue with that reason."
    )
    if site.licenses:
        yield "Licences: " + ", ".join(f"{count} of {name}" for name, count in site.licenses) + "."
    ages = settings.retention
    for what, seconds in (
        ("Jobs", ages.jobs_seconds),
        ("Histories", ages.history_seconds),
        ("Scripts", ages.scripts_seconds),
    ):
        if seconds is not None:
            yield f"{what} are forgotten {seconds / DAY_SECONDS:g} days after a job's end."
