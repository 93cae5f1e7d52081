"""The part of the site file that says what the cluster is: backends, nodes, partitions, users, rules.

Makes the values of `core.nodes` and checks that what names each other exists.
"""

import os
import pwd
import re
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapters.kubernetes.profile import Profile
from adapters.slurm import hostlist
from bridge import settings_accounting
from bridge.core.nodes import Node, Partition, Site
from bridge.core.users import User
from bridge.settings_kubernetes import Reach, read_profile, read_reach
from bridge.settings_reader import Problems, Said, Table

BACKEND_KINDS = ("local", "kubernetes")
VIRTUAL_NODES = 4
MAX_NODES = 10_000
DAY_SECONDS = 86400

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_GRES = re.compile(r"([A-Za-z_][\w.-]*)(?::([A-Za-z_][\w.-]*))?:(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the defaults are made of."""

    cores: int
    memory_mib: int
    uid: int
    home: str
    host_name: str = "localhost"


def this_machine() -> Machine:
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory_mib=_memory_mib(),
        uid=os.geteuid(),
        home=os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir,
        host_name=socket.gethostname(),
    )


def _memory_mib() -> int:
    """Of the machine, or of the container if that has less."""
    mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            mib = min(mib, int(text) >> 20)
    return max(1, mib)


@dataclass(frozen=True, slots=True)
class Cluster:
    backends: tuple[tuple[str, str], ...]
    """(name, kind)"""
    nodes: tuple[Node, ...]
    site: Site
    kubernetes: dict[str, Reach] = field(default_factory=dict)
    """By the names of backends that are Kubernetes clusters."""
    profiles: dict[str, Profile] = field(default_factory=dict)
    """By partition, of those that lie on Kubernetes."""


def read(root: Table, machine: Machine, problems: Problems) -> Cluster:
    reaches: dict[str, Reach] = {}
    profiles: dict[str, Profile] = {}
    backends = _backends(root, reaches)
    nodes = _nodes(root, [name for name, _ in backends], machine)
    partitions = _partitions(root, [name for name, _ in backends], nodes, reaches, profiles)
    site = settings_accounting.read(root, _with_default_memory(_site(root, partitions)), nodes)
    return Cluster(backends, nodes, site, reaches, profiles)


def _with_default_memory(site: Site) -> Site:
    """The cluster's default goes to the partitions that say nothing of memory."""
    per_cpu, per_node = site.default_memory_per_cpu_mib, site.default_memory_per_node_mib
    return replace(
        site,
        partitions=tuple(
            replace(one, default_memory_per_cpu_mib=per_cpu, default_memory_per_node_mib=per_node)
            if one.default_memory_per_cpu_mib is None and one.default_memory_per_node_mib is None
            else one
            for one in site.partitions
        ),
    )


def _backends(root: Table, reaches: dict[str, Reach]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for table in root.tables("backends"):
        name = _name(table, [name for name, _ in found])
        found.append((name, table.choice("kind", "local", BACKEND_KINDS)))
        if found[-1][1] == "kubernetes":
            reaches[name] = read_reach(table)
        table.close()
    return tuple(found) or (("local", "local"),)


def _name(table: Table, taken: Collection[str]) -> str:
    name = table.required_text("name", expected="a name of letters, digits, _ . -", fits=_is_word)
    if name and name in taken:
        table.wrong("name", name, "a name that is not given twice")
    return name


def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None


# ── nodes ─────────────────────────────────────────────────────────────────────────────────────────


def _nodes(root: Table, backends: Sequence[str], machine: Machine) -> tuple[Node, ...]:
    found: dict[str, Node] = {}
    for table in root.tables("nodes"):
        names = _host_names(table, "name", required=True)
        backend = _backend_of(table, backends)
        like = Node(
            name="",
            cpus=table.count("cpus", 1, 1, 65536),
            memory_mib=table.count("memory_mib", 1, 1),
            features=table.texts("features") or (),
            gres=_gres(table),
            sockets=table.count("sockets", 1, 1, 64),
            threads_per_core=table.count("threads_per_core", 1, 1, 8),
            temporary_disk_mib=table.count("temporary_disk_mib", 0),
            weight=table.count("weight", 1),
            backend=backend,
        )
        for needed in ("cpus", "memory_mib"):
            if needed not in table:
                table.wrong(needed, Said("nothing"), "how many a node has")
        per_core = like.sockets * like.threads_per_core
        if like.cpus % per_core:
            table.wrong("cpus", like.cpus, f"a multiple of sockets × threads_per_core, which is {per_core}")
        table.close()
        for name in names:
            if name in found:
                table.wrong("name", name, "names that are not given twice")
            found[name] = replace(like, name=name)
    return tuple(found.values()) or virtual_nodes(machine, backends[0])


def virtual_nodes(machine: Machine, backend: str) -> tuple[Node, ...]:
    """Half the machine's cores each: four nodes are for trying things out, and jobs seldom use all they ask for."""
    cpus = max(1, machine.cores // 2)
    memory_mib = max(1, machine.memory_mib // VIRTUAL_NODES)
    return tuple(Node(f"n{k + 1}", cpus, memory_mib, backend=backend) for k in range(VIRTUAL_NODES))


def _backend_of(table: Table, backends: Sequence[str]) -> str:
    return table.choice("backend", backends[0], backends)


def _host_names(table: Table, key: str, *, required: bool) -> tuple[str, ...]:
    expected = 'node names, such as "n[1-4]"'
    text = table.required_text(key, expected=expected) if required else table.text(key, expected=expected)
    if not text:
        return ()
    try:
        names = tuple(hostlist.expand(text))
    except ValueError as error:
        table.wrong(key, text, f"{expected} ({error})")
        return ()
    if len(names) > MAX_NODES or not all(map(_is_word, names)):
        table.wrong(key, text, f"{expected}, at most {MAX_NODES}")
        return ()
    return names


def _gres(table: Table) -> tuple[tuple[str, str | None, int], ...]:
    found = []
    for text in table.texts("gres") or ():
        match = _GRES.fullmatch(text)
        if match is None:
            table.wrong("gres", text, 'NAME:COUNT or NAME:TYPE:COUNT, such as "gpu:a100:2"')
        else:
            found.append((match[1], match[2], int(match[3])))
    return tuple(found)


# ── partitions ────────────────────────────────────────────────────────────────────────────────────


def _partitions(
    root: Table,
    backends: Sequence[str],
    nodes: Sequence[Node],
    reaches: Collection[str],
    profiles: dict[str, Profile],
) -> tuple[Partition, ...]:
    found: list[Partition] = []
    tables = root.tables("partitions")
    for table in tables:
        found.append(_partition(table, [p.name for p in found], backends, nodes, is_only=len(tables) == 1))
        if found[-1].backend in reaches:
            profile = profiles[found[-1].name] = read_profile(table, found[-1])
            found[-1] = replace(found[-1], images=profile.images)
        table.close()
        if found[-1].is_default and any(p.is_default for p in found[:-1]):
            table.wrong("default", True, "one default partition only")
    return tuple(found) or (_default_partition(backends[0], nodes),)


def _default_partition(backend: str, nodes: Sequence[Node]) -> Partition:
    names = tuple(node.name for node in nodes if node.backend == backend)
    # Without a default a job that names no memory would get a whole node's, and be alone there.
    share = min((n.memory_mib // n.cpus for n in nodes if n.backend == backend), default=0)
    return Partition("main", backend, names, is_default=True, default_memory_per_cpu_mib=share or None)


def _partition(
    table: Table, taken: Collection[str], backends: Sequence[str], nodes: Sequence[Node], *, is_only: bool
) -> Partition:
    backend = _backend_of(table, backends)
    there = tuple(node.name for node in nodes if node.backend == backend)
    names = _host_names(table, "nodes", required=False)
    unknown = [name for name in names if name not in there]
    if unknown:
        table.wrong("nodes", ", ".join(unknown[:5]), f'nodes of the backend "{backend}"')
    partition = Partition(
        name=_name(table, taken),
        backend=backend,
        nodes=names if "nodes" in table else there,
        is_default=table.boolean("default", is_only),
        max_time_seconds=table.integer("max_time_seconds", None, 1),
        default_time_seconds=table.integer("default_time_seconds", None, 1),
        max_nodes=table.integer("max_nodes", None, 1),
        min_nodes=table.count("min_nodes", 0),
        max_cpus_per_node=table.integer("max_cpus_per_node", None, 1),
        default_memory_per_cpu_mib=table.integer("default_memory_per_cpu_mib", None, 1),
        default_memory_per_node_mib=table.integer("default_memory_per_node_mib", None, 1),
        max_memory_per_node_mib=table.integer("max_memory_per_node_mib", None, 1),
        allow_users=table.texts("allow_users", None),
        allow_groups=table.texts("allow_groups", None),
        allow_accounts=table.texts("allow_accounts", None),
        priority_tier=table.count("priority_tier", 1),
        state=table.choice("state", "UP", ("UP", "DOWN", "DRAIN", "INACTIVE")),
        patience_seconds=table.count("patience_seconds", 300, 1),
        oversubscribe=table.boolean("oversubscribe", False),
        whole_nodes=table.boolean("whole_nodes", False),
        accounts=table.texts("accounts") or (),
    )
    limit, default = partition.max_time_seconds, partition.default_time_seconds
    if limit is not None and default is not None and default > limit:
        table.wrong("default_time_seconds", default, f"at most max_time_seconds, {limit}")
    if partition.max_nodes is not None and partition.min_nodes > partition.max_nodes:
        table.wrong("min_nodes", partition.min_nodes, f"at most max_nodes, {partition.max_nodes}")
    return partition


# ── rules and users ───────────────────────────────────────────────────────────────────────────────


def _site(root: Table, partitions: tuple[Partition, ...]) -> Site:
    table = root.table("cluster")
    usual = Site()
    site = Site(
        cluster_name=table.text("name", "bridge", expected="a name of letters, digits, _ . -", fits=_is_word)
        or "bridge",
        partitions=partitions,
        max_array_size=table.count("max_array_size", usual.max_array_size, 1, 4_000_001),
        max_script_bytes=table.count("max_script_bytes", usual.max_script_bytes, 1, 64 << 20),
        kill_wait_seconds=table.count("kill_wait_seconds", usual.kill_wait_seconds, 0, 65533),
        accounting_interval_seconds=table.count(
            "accounting_interval_seconds", usual.accounting_interval_seconds, 0, 65533
        ),
        mpi_default=table.choice("mpi_default", usual.mpi_default, ("none", "pmi2", "pmix")),
        job_requeue=table.boolean("job_requeue", usual.job_requeue),
        kill_invalid_depend=table.boolean("kill_invalid_depend", usual.kill_invalid_depend),
        enforce_part_limits=table.boolean("enforce_part_limits", usual.enforce_part_limits),
        default_append=table.boolean("default_append", usual.default_append),
        default_memory_per_cpu_mib=table.integer("default_memory_per_cpu_mib", None, 1),
        default_memory_per_node_mib=table.integer("default_memory_per_node_mib", None, 1),
        licenses=table.integers_by_name("licenses", 0, 2**31 - 1),
        min_job_age_seconds=table.count("min_job_age_seconds", usual.min_job_age_seconds),
        default_account=table.text("default_account"),
        accounts=root.texts_by_name("accounts"),
        qos=root.texts_by_name("qos"),
        known_accounts=table.texts("known_accounts") or (),
        accept_options=table.texts("accept_options") or (),
    )
    if site.known_accounts:
        _check_accounts(root, table, site)
    table.close()
    return site


def _check_accounts(root: Table, table: Table, site: Site) -> None:
    expected = "an account of cluster.known_accounts"
    if site.default_account is not None and site.default_account not in site.known_accounts:
        table.wrong("default_account", site.default_account, expected)
    for user, accounts in site.accounts:
        for account in accounts:
            if account not in site.known_accounts:
                root.wrong(f"accounts.{user}", account, expected)


def read_users(root: Table, problems: Problems) -> tuple[User, ...]:
    """Users that the host does not know. Their ids are the site's own business."""
    found: list[User] = []
    for table in root.tables("users"):
        name = _name(table, [user.name for user in found])
        uid = table.integer("uid", None, 0, 2**32 - 2)
        gid = table.count("gid", uid or 0, 0, 2**32 - 2)
        if uid is None and "uid" not in table:
            table.wrong("uid", Said("nothing"), "the user's number")
        if uid is not None and uid in [user.uid for user in found]:
            table.wrong("uid", uid, "a number that is not given twice")
        groups = table.integers_by_name("groups", 0, 2**32 - 2)
        found.append(
            User(
                name=name,
                uid=uid or 0,
                gid=gid,
                groups=tuple(dict.fromkeys((gid, *(number for _, number in groups)))),
                group_names=tuple(group for group, _ in groups),
                home=table.text("home", "/", expected="an absolute path", fits=os.path.isabs) or "/",
                shell=table.text("shell", "/bin/sh", expected="an absolute path", fits=os.path.isabs) or "/bin/sh",
            )
        )
        table.close()
    return tuple(found)
