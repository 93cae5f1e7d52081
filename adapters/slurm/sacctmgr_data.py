"""sacctmgr --json and --yaml: the lists as slurmdbd's documents. Pure."""

from collections.abc import Mapping
from typing import Any

from adapters.slurm.data import Asked, Wish, document
from adapters.slurm.rest import accounts
from adapters.slurm.rest.accounts import Resources
from adapters.slurm.rest.shapes import Record
from adapters.slurm.sacctmgr import Entity, List
from adapters.slurm.sacctmgr_fields import ClusterFacts, Row
from adapters.slurm.sacctmgr_list import rows
from bridge.core.accounting import Book

_SHAPES: Mapping[Entity, tuple[str, Record]] = {
    "account": ("accounts", accounts.ACCOUNTS_ANSWER),
    "user": ("users", accounts.USERS_ANSWER),
    "association": ("associations", accounts.ASSOCIATIONS_ANSWER),
    "qos": ("qos", accounts.QOS_ANSWER),
    "cluster": ("clusters", accounts.CLUSTERS_ANSWER),
    "tres": ("TRES", accounts.TRES_ANSWER),
}


def text(order: List, wanted: Wish, book: Book, facts: ClusterFacts, asked: Asked) -> str:
    name, shape = _SHAPES[order.entity]
    resources = Resources(facts.tres)
    found: dict[str, dict[str, Any]] = {}
    for row in rows(order, book, facts):
        # With associations a user or account has a row for each; its document holds them all.
        key, value = _record(row, order, book, facts, resources)
        found.setdefault(key, value)
    return document(wanted, shape, {name: list(found.values())}, asked)


def _record(row: Row, order: List, book: Book, facts: ClusterFacts, resources: Resources) -> tuple[str, dict[str, Any]]:
    flags = order.conditions.flags
    wishes = {"associations": "withassoc" in flags, "coordinators": "withcoordinators" in flags}
    match order.entity:
        case "user":
            assert row.user is not None
            told = accounts.user(book, row.user.name, facts.name, **wishes)
            if not wishes["associations"]:
                # slurmrestd leaves these out then, and sacctmgr tells them.
                default = book.default_of(row.user.name) if row.default_account else None
                qos = book.qos.get(accounts.default_qos(book, default) or "") if default is not None else None
                told["default"].update(account=row.default_account or "", qos=qos.id if qos is not None else 0)
            return row.user.name, told
        case "account":
            assert row.account is not None
            return row.account.name, accounts.account(book, row.account, facts.name, **wishes)
        case "association":
            assert row.association is not None
            return str(row.association.id), accounts.association(book, row.association, facts.name, resources)
        case "qos":
            assert row.qos is not None
            return row.qos.name, accounts.qos(row.qos, resources)
        case "cluster":
            return facts.name, accounts.cluster(book, facts, resources)
    assert row.tres is not None
    kind, name, number = row.tres
    return str(number), {"type": kind, "name": name, "id": number, "count": 0}
