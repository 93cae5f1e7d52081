"""`scontrol show config`: what is true of this bridge, under Slurm's names and in Slurm's order.

What has no counterpart here is left out; programs take a missing line and `(null)` alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.slurm import durations
from adapters.slurm.answer import VERSION
from bridge.core.nodes import Node, Site


@dataclass(frozen=True, slots=True)
class Installation:
    """Where and as whom the service runs."""

    host: str
    started_at: float = 0.0
    address: str | None = None
    """Of its TCP listener; None: it listens on a Unix socket only. So the next."""
    port: int | None = None
    user: str = "root"
    uid: int = 0
    data_directory: str = ""
    site_file: str | None = None
    mail_program: str | None = None


def text(site: Site, nodes: Sequence[Node], here: Installation, clock: durations.Clock) -> str:
    lines = [f"{name:<23} = {value}" for name, value in _values(site, nodes, here, clock).items()]
    return f"Configuration data as of {clock.stamp(clock.now)}\n" + "\n".join(lines) + "\n\n"


def _values(site: Site, nodes: Sequence[Node], here: Installation, clock: durations.Clock) -> Mapping[str, str]:
    gres = sorted({name for node in nodes for name, _, _ in node.gres})
    account = f"{here.user}({here.uid})"
    values: dict[str, str | None] = {
        "AccountingStorageEnforce": _enforced(site),
        "AccountingStorageTRES": ",".join(["cpu", "mem", "node", "billing", *(f"gres/{name}" for name in gres)]),
        # What sacct and sacctmgr need of it is there: a database that keeps jobs, accounts and limits.
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStoreFlags": "job_comment,job_script",
        "BOOT_TIME": clock.stamp(here.started_at),
        "ClusterName": site.cluster_name,
        "CompleteWait": "0 sec",
        **_default_memory(site),
        "DependencyParameters": "kill_invalid_depend" if site.kill_invalid_depend else "(null)",
        "DisableRootJobs": "no",
        "EnforcePartLimits": "ALL" if site.enforce_part_limits else "NO",
        "FederationParameters": "(null)",
        "FirstJobId": "1",
        "GresTypes": ",".join(gres) or "(null)",
        "JobAcctGatherFrequency": f"task={site.accounting_interval_seconds}",
        "JobFileAppend": str(int(site.default_append)),
        "JobRequeue": str(int(site.job_requeue)),
        "JobSubmitPlugins": "(null)",
        "KillOnBadExit": "0",
        "KillWait": f"{site.kill_wait_seconds} sec",
        "Licenses": ",".join(f"{name}:{count}" for name, count in site.licenses) or "(null)",
        "MailProg": here.mail_program or "(null)",
        "MaxArraySize": str(site.max_array_size),
        "MaxMemPerNode": "UNLIMITED",
        "MaxNodeCount": str(len(nodes)),
        "MinJobAge": f"{site.min_job_age_seconds} sec",
        "MpiDefault": "(null)" if site.mpi_default == "none" else site.mpi_default,
        "OverTimeLimit": "0 min",
        "PreemptMode": "OFF",
        "PreemptType": "(null)",
        # No factor is weighed: jobs go by the priority that was set, then nice, then arrival.
        "PriorityType": "priority/multifactor",
        **{f"PriorityWeight{factor}": "0" for factor in _FACTORS},
        "PrivateData": "none",
        "SchedulerType": "sched/backfill",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_MEMORY",
        "SlurmUser": account,
        "SlurmctldHost[0]": here.host + (f"({here.address})" if here.address else ""),
        "SlurmctldPort": None if here.port is None else str(here.port),
        "SlurmdUser": account,
        "SLURM_CONF": here.site_file or "(null)",
        "SLURM_VERSION": VERSION,
        "StateSaveLocation": here.data_directory or None,
        "TrackWCKey": "no",
    }
    return {name: value for name, value in values.items() if value is not None}


_FACTORS = ("Age", "Assoc", "FairShare", "JobSize", "Partition", "QOS")


def _enforced(site: Site) -> str:
    return ",".join(sorted(site.enforced)) or "none"


def _default_memory(site: Site) -> dict[str, str]:
    if site.default_memory_per_cpu_mib is not None:
        return {"DefMemPerCPU": str(site.default_memory_per_cpu_mib)}
    return {"DefMemPerNode": _or_unlimited(site.default_memory_per_node_mib)}


def _or_unlimited(number: int | None) -> str:
    return "UNLIMITED" if number is None else str(number)
