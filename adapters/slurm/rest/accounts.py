"""Users, accounts, associations, QOS, clusters and TRES as slurmrestd shows them from the accounting book."""

from collections.abc import Iterable, Sequence
from typing import Any

from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.shapes import (
    BOOLEAN,
    F64,
    INFINITE,
    INT32,
    INT64,
    STRINGS,
    TEXT,
    U32,
    Anything,
    Field,
    Flags,
    List,
    Record,
    Word,
    flags,
    since,
)
from adapters.slurm.sacctmgr_fields import ClusterFacts
from bridge.core import accounting
from bridge.core.accounting import Account, Association, Book, Limits, Qos, Tres

TRES = Record("tres", {"type": TEXT, "name": TEXT, "id": INT32, "count": INT64})
_TRES = List(TRES)
ASSOCIATION_SHORT = Record(
    "assoc_short", {"account": TEXT, "cluster": TEXT, "partition": TEXT, "user": TEXT, "id": INT32}
)
_COORDINATORS = List(Record("coord", {"name": TEXT, "direct": BOOLEAN}))
_USAGE = List(
    Record(
        "accounting",
        {
            "allocated": Record("", {"seconds": INT64}),
            "id": INT32,
            "id_alt": since(42, INT32),
            "start": INT64,
            "TRES": TRES,
        },
    )
)
WCKEY = Record(
    "wckey",
    {"accounting": _USAGE, "cluster": TEXT, "id": INT32, "name": TEXT, "user": TEXT, "flags": flags("DELETED")},
)
ADMIN_LEVEL = Flags(Word(("Not Set", "None", "Operator", "Administrator")))

USER = Record(
    "user",
    {
        "administrator_level": ADMIN_LEVEL,
        "associations": List(ASSOCIATION_SHORT),
        "coordinators": _COORDINATORS,
        "default": Record("", {"qos": since(44, INT32), "account": TEXT, "wckey": TEXT}),
        "flags": flags("NONE DELETED"),
        "name": TEXT,
        "old_name": TEXT,
        "wckeys": List(WCKEY),
    },
)
ACCOUNT = Record(
    "account",
    {
        "associations": List(ASSOCIATION_SHORT),
        "coordinators": _COORDINATORS,
        "description": TEXT,
        "name": TEXT,
        "organization": TEXT,
        "flags": flags("DELETED WithAssociations WithCoordinators NoUsersAreCoords UsersAreCoords"),
    },
)
ASSOCIATION = Record(
    "assoc",
    {
        "accounting": _USAGE,
        "account": TEXT,
        "cluster": TEXT,
        "comment": TEXT,
        "default": Record("", {"qos": TEXT}),
        "flags": flags("DELETED NoUpdate Exact NoUsersAreCoords UsersAreCoords"),
        "max": Record(
            "",
            {
                "jobs": Record(
                    "",
                    {
                        "per": Record("", dict.fromkeys(("count", "accruing", "submitted", "wall_clock"), U32)),
                        "active": U32,
                        "accruing": U32,
                        "total": U32,
                    },
                ),
                "tres": Record(
                    "",
                    {
                        "total": _TRES,
                        "group": Record("", {"minutes": _TRES, "active": _TRES}),
                        "minutes": Record("", {"total": _TRES, "per": Record("", {"job": _TRES})}),
                        "per": Record("", {"job": _TRES, "node": _TRES}),
                    },
                ),
                "per": Record("", {"account": Record("", {"wall_clock": U32})}),
            },
        ),
        "id": INT32,
        "is_default": BOOLEAN,
        "lineage": TEXT,
        "min": Record("", {"priority_threshold": U32}),
        "parent_account": TEXT,
        "partition": TEXT,
        "priority": U32,
        "qos": STRINGS,
        "shares_raw": INT32,
        "user": TEXT,
    },
)
_OF_BOTH = Record("", {"account": U32, "user": U32})
QOS = Record(
    "qos",
    {
        "description": TEXT,
        "flags": flags(
            "NOT_SET ADD REMOVE PARTITION_MINIMUM_NODE PARTITION_MAXIMUM_NODE PARTITION_TIME_LIMIT "
            "ENFORCE_USAGE_THRESHOLD NO_RESERVE REQUIRED_RESERVATION DENY_LIMIT OVERRIDE_PARTITION_QOS NO_DECAY "
            "USAGE_FACTOR_SAFE RELATIVE",
            v43="DELETED PARTITION_QOS",
        ),
        "id": INT32,
        "limits": Record(
            "",
            {
                "grace_time": INT32,
                "max": Record(
                    "",
                    {
                        "active_jobs": Record("", {"accruing": U32, "count": U32}),
                        "jobs": Record(
                            "",
                            {
                                "count": since(42, U32),
                                "active_jobs": Record("", {"per": _OF_BOTH}),
                                "per": _OF_BOTH,
                            },
                        ),
                        "tres": Record(
                            "",
                            {
                                "total": _TRES,
                                "minutes": Record(
                                    "",
                                    {
                                        "total": since(42, _TRES),
                                        "per": Record("", dict.fromkeys(("qos", "job", "account", "user"), _TRES)),
                                    },
                                ),
                                "per": Record("", dict.fromkeys(("account", "job", "node", "user"), _TRES)),
                            },
                        ),
                        "wall_clock": Record("", {"per": Record("", {"qos": U32, "job": U32})}),
                        "accruing": Record("", {"per": _OF_BOTH}),
                    },
                ),
                "factor": F64,
                "min": Record(
                    "",
                    {
                        "priority_threshold": U32,
                        "tres": Record("", {"per": Record("", {"job": _TRES})}),
                    },
                ),
            },
        ),
        "name": TEXT,
        "preempt": Record(
            "",
            {"list": STRINGS, "mode": flags("DISABLED SUSPEND REQUEUE CANCEL GANG"), "exempt_time": U32},
        ),
        "priority": U32,
        "usage_factor": F64,
        "usage_threshold": F64,
    },
)
CLUSTER = Record(
    "cluster_rec",
    {
        "controller": Record("", {"host": TEXT, "port": INT32}),
        "flags": flags("REGISTERING MULTIPLE_SLURMD FEDERATION EXTERNAL", v43="DELETED"),
        "name": TEXT,
        "nodes": TEXT,
        "select_plugin": TEXT,
        "associations": Record("", {"root": ASSOCIATION_SHORT}),
        "rpc_version": INT32,
        "tres": _TRES,
    },
)
INSTANCE = Record(
    "instance",
    {
        "cluster": TEXT,
        "extra": TEXT,
        "instance_id": TEXT,
        "instance_type": TEXT,
        "node_name": TEXT,
        "time": Record("", {"time_end": INT64, "time_start": INT64}),
    },
)

USERS_ANSWER = answer("openapi_users_resp", {"users": List(USER)})
ACCOUNTS_ANSWER = answer("openapi_accounts_resp", {"accounts": List(ACCOUNT)})
ASSOCIATIONS_ANSWER = answer("openapi_assocs_resp", {"associations": List(ASSOCIATION)})
QOS_ANSWER = answer("openapi_slurmdbd_qos_resp", {"qos": List(QOS)})
CLUSTERS_ANSWER = answer("openapi_clusters_resp", {"clusters": List(CLUSTER)})
TRES_ANSWER = answer("openapi_tres_resp", {"TRES": List(TRES)})
USERS_REMOVED = answer("openapi_resp_users", {"removed_users": STRINGS})
ACCOUNTS_REMOVED = answer("openapi_accounts_removed_resp", {"removed_accounts": STRINGS})
ASSOCIATIONS_REMOVED = answer("openapi_assocs_removed_resp", {"removed_associations": STRINGS})
QOS_REMOVED = answer("openapi_slurmdbd_qos_removed_resp", {"removed_qos": STRINGS})
CLUSTERS_REMOVED = answer("openapi_clusters_removed_resp", {"deleted_clusters": STRINGS})
_OBJECT = Anything({"type": "object"})
USERS_WANTED = Record("openapi_users_add_cond_resp", {"association_condition": _OBJECT, "user": _OBJECT})
ACCOUNTS_WANTED = Record("openapi_accounts_add_cond_resp", {"association_condition": _OBJECT, "account": _OBJECT})
USERS_ADDED = answer("openapi_users_add_cond_resp_str", {"added_users": TEXT})
ACCOUNTS_ADDED = answer("openapi_accounts_add_cond_resp_str", {"added_accounts": TEXT})
WCKEYS_ANSWER = answer("openapi_wckey_resp", {"wckeys": List(WCKEY)})
INSTANCES_ANSWER = answer("openapi_instances_resp", {"instances": List(INSTANCE)})
CONFIG_ANSWER = answer(
    "openapi_slurmdbd_config_resp",
    {
        "clusters": List(CLUSTER),
        "tres": List(TRES),
        "accounts": List(ACCOUNT),
        "users": List(USER),
        "qos": List(QOS),
        "wckeys": List(WCKEY),
        "associations": List(ASSOCIATION),
        "instances": Field(List(INSTANCE)),
    },
    required=False,
)
PING_ANSWER = answer(
    "openapi_slurmdbd_ping_resp",
    {
        "pings": List(
            Record("slurmdbd_ping", {"hostname": TEXT, "responding": BOOLEAN, "latency": INT64, "primary": BOOLEAN})
        )
    },
)


# ── values ────────────────────────────────────────────────────────────────────────────────────────

_IDS = {"cpu": 1, "mem": 2, "energy": 3, "node": 4, "billing": 5, "fs/disk": 6, "vmem": 7, "pages": 8}
"""Slurm's own; what a site has of its own is numbered from 1001."""


class Resources:
    """The TRES of a cluster with their numbers."""

    def __init__(self, amounts: Tres) -> None:
        self._amounts = amounts
        own = [name for name, _ in amounts if name not in _IDS]
        self._ids = {**_IDS, **{name: 1001 + at for at, name in enumerate(own)}}

    def listed(self, tres: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
        found = [self._one(name, amount) for name, amount in tres]
        return sorted(found, key=lambda one: one["id"])

    def every(self) -> list[dict[str, Any]]:
        """Each kind that is known, as the database keeps it: without amounts."""
        return [self._one(name, 0) for name in self._ids]

    def of_cluster(self) -> list[dict[str, Any]]:
        amounts = dict(self._amounts)
        return [self._one(name, amounts.get(name, 0)) for name in self._ids]

    def _one(self, full_name: str, amount: int) -> dict[str, Any]:
        kind, _, name = full_name.partition("/")
        return {"type": kind, "name": name, "id": self._ids.get(full_name, 0), "count": amount}


def _or_infinite(number: float | None) -> float:
    return INFINITE if number is None else number


def short(one: Association, cluster: str) -> dict[str, Any]:
    return {
        "account": one.account,
        "cluster": cluster,
        "partition": one.partition,
        "user": one.user,
        "id": one.id,
    }


def user(book: Book, name: str, cluster: str, *, associations: bool, coordinators: bool) -> dict[str, Any]:
    """Without its associations a user is listed without a default account either, as slurmdbd does."""
    found = [one for _, one in book.tree() if one.user == name] if associations else []
    default = next((one for one in found if one.is_default), None)
    coordinated = book.coordinated_by(name) if coordinators else ()
    direct = {account.name for account in book.accounts.values() if name in account.coordinators}
    return {
        "administrator_level": (book.users[name].admin_level,),
        "associations": [short(one, cluster) for one in found],
        "coordinators": [{"name": account, "direct": account in direct} for account in coordinated],
        "default": {
            # That of the first association with one, whichever is the default account's: so slurmdbd finds it.
            "qos": next((number for one in found if (number := _qos_id(book, default_qos(book, one)))), 0),
            "account": default.account if default is not None else "",
            "wckey": "",
        },
        "flags": ("NONE",),
        "name": name,
        "old_name": "",
        "wckeys": [],
    }


def default_qos(book: Book, one: Association) -> str | None:
    """Its own, or that of the nearest account above."""
    return next((part.default_qos for part in book.chain(one) if part.default_qos is not None), None)


def _qos_id(book: Book, name: str | None) -> int:
    return book.qos[name].id if name is not None and name in book.qos else 0


def account(book: Book, one: Account, cluster: str, *, associations: bool, coordinators: bool) -> dict[str, Any]:
    found = [each for each in book.associations.values() if each.account == one.name] if associations else []
    direct = set(one.coordinators)
    every = sorted({name for name in book.users if one.name in book.coordinated_by(name)}) if coordinators else []
    return {
        "associations": [short(each, cluster) for each in sorted(found, key=lambda each: each.user)],
        "coordinators": [{"name": name, "direct": name in direct} for name in every],
        "description": one.description,
        "name": one.name,
        "organization": one.organization,
        "flags": (),
    }


def association(book: Book, one: Association, cluster: str, resources: Resources) -> dict[str, Any]:
    """With what it inherits, as slurmdbd gives it."""
    limits = book.effective(one)
    chain = book.chain(one)
    priority = next((part.priority for part in chain if part.priority is not None), None)
    return {
        "accounting": [],
        "account": one.account,
        "cluster": cluster,
        "comment": one.comment,
        "default": {"qos": default_qos(book, one) or ""},
        "flags": (),
        "max": _max_of_association(limits, resources),
        "id": one.id,
        "is_default": one.is_default,
        "lineage": _lineage(chain),
        "min": {"priority_threshold": _or_infinite(limits.min_priority)},
        "parent_account": one.parent,
        "partition": one.partition,
        "priority": _or_infinite(priority),
        "qos": sorted(book.granted_qos(one), key=lambda name: _qos_id(book, name)),
        "shares_raw": PARENT_SHARES if one.shares is None else one.shares,
        "user": one.user,
    }


PARENT_SHARES = 0x7FFFFFFF


def _max_of_association(limits: Limits, resources: Resources) -> dict[str, Any]:
    listed = resources.listed
    return {
        "jobs": {
            "per": {
                "count": _or_infinite(limits.grp_jobs),
                "accruing": _or_infinite(limits.grp_jobs_accrue),
                "submitted": _or_infinite(limits.grp_submit_jobs),
                "wall_clock": _or_infinite(limits.max_wall_minutes),
            },
            "active": _or_infinite(limits.max_jobs),
            "accruing": _or_infinite(limits.max_jobs_accrue),
            "total": _or_infinite(limits.max_submit_jobs),
        },
        "tres": {
            "total": listed(limits.grp_tres),
            "group": {"minutes": listed(limits.grp_tres_minutes), "active": listed(limits.grp_tres_run_minutes)},
            "minutes": {"total": [], "per": {"job": listed(limits.max_tres_minutes)}},
            "per": {"job": listed(limits.max_tres), "node": listed(limits.max_tres_per_node)},
        },
        "per": {"account": {"wall_clock": _or_infinite(limits.grp_wall_minutes)}},
    }


def _lineage(chain: Sequence[Association]) -> str:
    """`/physics/0-bob/`: accounts below root, then the user; a user's place is told apart by the 0."""
    words = []
    for part in reversed(chain):
        if part.user:
            words.append(f"0-{part.user}")
            if part.partition:
                words.append(f"1-{part.partition}")
        elif part.account != accounting.ROOT:
            words.append(part.account)
    return "/" + "".join(f"{word}/" for word in words)


QOS_FLAGS = {
    "DenyOnLimit": "DENY_LIMIT",
    "EnforceUsageThreshold": "ENFORCE_USAGE_THRESHOLD",
    "PartitionMinNodes": "PARTITION_MINIMUM_NODE",
    "PartitionMaxNodes": "PARTITION_MAXIMUM_NODE",
    "PartitionTimeLimit": "PARTITION_TIME_LIMIT",
    "RequiresReservation": "REQUIRED_RESERVATION",
    "OverPartQOS": "OVERRIDE_PARTITION_QOS",
    "PartQOS": "PARTITION_QOS",
    "NoReserve": "NO_RESERVE",
    "NoDecay": "NO_DECAY",
    "Relative": "RELATIVE",
    "UsageFactorSafe": "USAGE_FACTOR_SAFE",
}
_PREEMPT_MODES = {"cluster": "DISABLED", "off": "DISABLED"}


def qos(one: Qos, resources: Resources) -> dict[str, Any]:
    spelled = {QOS_FLAGS[flag] for flag in one.flags if flag in QOS_FLAGS}
    known = QOS.of_version(44)["flags"]
    assert isinstance(known, Flags)
    mode = one.preempt_mode.lower()
    return {
        "description": one.description,
        "flags": tuple(flag for flag in known.of.known(44) if flag in spelled),
        "id": one.id,
        "limits": {
            "grace_time": one.grace_seconds,
            "max": _max_of_qos(one.limits, resources),
            "factor": _or_infinite(one.limit_factor),
            "min": {
                "priority_threshold": _or_infinite(one.limits.min_priority),
                "tres": {"per": {"job": resources.listed(one.limits.min_tres)}},
            },
        },
        "name": one.name,
        "preempt": {
            "list": list(one.preempt),
            "mode": (_PREEMPT_MODES.get(mode, mode.upper()),),
            "exempt_time": _or_infinite(one.preempt_exempt_seconds),
        },
        "priority": one.priority,
        "usage_factor": one.usage_factor,
        "usage_threshold": _or_infinite(one.usage_threshold),
    }


def _max_of_qos(limits: Limits, resources: Resources) -> dict[str, Any]:
    listed = resources.listed
    return {
        "active_jobs": {"accruing": _or_infinite(limits.grp_jobs_accrue), "count": _or_infinite(limits.grp_jobs)},
        "jobs": {
            "count": _or_infinite(limits.grp_submit_jobs),
            "active_jobs": {
                "per": {
                    "account": _or_infinite(limits.max_jobs_per_account),
                    "user": _or_infinite(limits.max_jobs_per_user),
                }
            },
            "per": {
                "account": _or_infinite(limits.max_submit_per_account),
                "user": _or_infinite(limits.max_submit_per_user),
            },
        },
        "tres": {
            "total": listed(limits.grp_tres),
            "minutes": {
                "total": listed(limits.grp_tres_minutes),
                "per": {
                    "qos": listed(limits.grp_tres_run_minutes),
                    "job": listed(limits.max_tres_minutes),
                    "account": listed(limits.max_tres_run_minutes_per_account),
                    "user": listed(limits.max_tres_run_minutes_per_user),
                },
            },
            "per": {
                "account": listed(limits.max_tres_per_account),
                "job": listed(limits.max_tres),
                "node": listed(limits.max_tres_per_node),
                "user": listed(limits.max_tres_per_user),
            },
        },
        "wall_clock": {
            "per": {"qos": _or_infinite(limits.grp_wall_minutes), "job": _or_infinite(limits.max_wall_minutes)}
        },
        "accruing": {
            "per": {
                "account": _or_infinite(limits.max_jobs_accrue_per_account),
                "user": _or_infinite(limits.max_jobs_accrue_per_user),
            }
        },
    }


def cluster(book: Book, facts: ClusterFacts, resources: Resources) -> dict[str, Any]:
    top = book.of_account(accounting.ROOT)
    return {
        "controller": {"host": facts.host, "port": facts.port},
        "flags": (),
        "name": facts.name,
        "nodes": facts.node_list,
        "select_plugin": "",
        "associations": {"root": short(top, facts.name) if top is not None else _NO_ASSOCIATION},
        "rpc_version": facts.protocol,
        "tres": resources.of_cluster(),
    }


_NO_ASSOCIATION = {"account": "", "cluster": "", "partition": "", "user": "", "id": 0}
