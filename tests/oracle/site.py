"""The recorded cluster as a site file of ours: what line 1 of the recording says, in our keys."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.person import Person

FIRST_JOB_ID = 100_001
"""Recorded ids had six digits, and columns are as wide."""

_CLUSTER = """
[cluster]
name = "oracle"
max_array_size = 1001
kill_wait_seconds = 5
accounting_interval_seconds = 2
min_job_age_seconds = 600
job_requeue = true
default_memory_per_cpu_mib = 256
enforce_part_limits = {enforce_part_limits}
kill_invalid_depend = {kill_invalid_depend}
known_accounts = ["physics", "chem", "root"]
licenses = {{ matlab = 4 }}

[accounts]
{user} = ["physics", "chem"]
bob = ["physics"]
root = ["root"]

[qos]
{user} = ["normal", "high"]
bob = ["normal"]
root = ["normal"]
"""

_NODE = """
[[nodes]]
name = "{name}"
cpus = 8
sockets = 2
memory_mib = 16000
features = {features}
gres = {gres}
"""

_NODES = (
    ("n1", '["intel", "ib"]', "[]"),
    ("n2", '["intel"]', "[]"),
    ("n3", '["amd", "ib"]', "[]"),
    ("n4", '["amd"]', '["gpu:a100:4"]'),
)

_PARTITION = """
[[partitions]]
name = "{name}"
nodes = "{nodes}"
{more}
"""

_PARTITIONS = (
    ("main", "n[1-3]", "default = true\nmax_time_seconds = 86400\ndefault_time_seconds = 1800"),
    ("short", "n[1-2]", "max_time_seconds = 300\npriority_tier = 2"),
    ("gpu", "n4", ""),
    ("all", "n[1-4]", ""),
    ("closed", "n3", 'state = "DOWN"\nmax_time_seconds = 3600'),
    ("small", "n1", "max_nodes = 1\nmax_time_seconds = 3600"),
)


@dataclass(frozen=True)
class Variant:
    """How the recorded cluster was configured for a group."""

    enforce_part_limits: bool = False
    kill_invalid_depend: bool = False


USUAL = Variant()
_VARIANTS = {
    "enforce": Variant(enforce_part_limits=True),
    "killdep": Variant(kill_invalid_depend=True),
}


def variant_of(group: str) -> Variant:
    return _VARIANTS.get(group, USUAL)


_MAIL_PROGRAM = """\
#!/bin/sh
# Notes what a mail program is called with, as the recorded cluster's did.
text=$(printf argv:; printf ' [%s]' "$@"; echo; env | grep ^SLURM_ | LC_ALL=C sort; echo ---)
printf '%s\\n' "$text" >>{log}
"""


def write_mail_program(log_folder: Path) -> Path:
    program = log_folder / "mailprog"
    # Several bridges have the same one: it is put in place at once, since a file that is being written cannot be run.
    with tempfile.NamedTemporaryFile("w", dir=log_folder, delete=False) as file:
        file.write(_MAIL_PROGRAM.format(log=log_folder / "mail.log"))
    new = Path(file.name)
    new.chmod(0o755)
    return new.replace(program)


def text(variant: Variant, user: Person, mail_program: Path) -> str:
    """Without the tables of users and of the server."""
    return "".join(
        (
            _CLUSTER.format(
                user=user.name,
                enforce_part_limits=_boolean(variant.enforce_part_limits),
                kill_invalid_depend=_boolean(variant.kill_invalid_depend),
            ),
            *(_NODE.format(name=name, features=features, gres=gres) for name, features, gres in _NODES),
            *(_PARTITION.format(name=name, nodes=nodes, more=more) for name, nodes, more in _PARTITIONS),
            f"[store]\nfirst_job_id = {FIRST_JOB_ID}\n",
            f'[mail]\ncommand = ["{mail_program}", "-s", "{{subject}}", "{{to}}"]\n',
        )
    )


def _boolean(value: bool) -> str:
    return "true" if value else "false"
