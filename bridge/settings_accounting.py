"""The site file's [accounting]: what is enforced, and the accounts, users, QOS and limits that a new bridge has.

The start is told in sacctmgr's own words, so that there is one language for it and each word means the same.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from adapters.slurm import sacctmgr, sacctmgr_changes
from adapters.slurm.answer import Answer
from adapters.slurm.sacctmgr_fields import ClusterFacts
from adapters.slurm.sacctmgr_texts import Asker
from bridge.core import accounting_start
from bridge.core.nodes import Node, Site
from bridge.settings_reader import Table

ENFORCEABLE = ("associations", "limits", "qos", "safe")
_EXPECTED = 'an order of sacctmgr, such as "add account physics GrpTRES=cpu=100"'


def read(root: Table, site: Site, nodes: Sequence[Node]) -> Site:
    """The site with its accounting."""
    table = root.table("accounting")
    enforce = table.texts("enforce", None)
    for word in enforce or ():
        if word not in ENFORCEABLE:
            table.wrong("enforce", word, "any of " + ", ".join(ENFORCEABLE))
    site = replace(site, enforce=enforce, priority_weight_qos=table.count("priority_weight_qos", 0))
    book = accounting_start.book_of(site)
    gres = {name for node in nodes for name, _, _ in node.gres}
    facts = ClusterFacts(site.cluster_name, tres=tuple((f"gres/{name}", 1) for name in sorted(gres)))
    asker = Asker(facts, "root", is_operator=True)
    lines = table.texts("start") or ()
    for line in lines:
        try:
            order = sacctmgr.read(shlex.split(line))
        except ValueError as error:
            table.wrong("start", line, f"{_EXPECTED} ({error})")
            continue
        if not isinstance(order, sacctmgr.Change):
            table.wrong("start", line, _EXPECTED + (_first_line(order.stderr) if isinstance(order, Answer) else ""))
            continue
        planned = sacctmgr_changes.plan(order, book, asker)
        if planned.book is None:
            table.wrong("start", line, _EXPECTED + _first_line(planned.stderr or planned.stdout))
        else:
            book = planned.book
    table.close()
    return replace(site, start=book) if lines else site


def _first_line(text: str) -> str:
    """What sacctmgr would have said."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return f" ({line})" if line else ""
