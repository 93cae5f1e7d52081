"""A session of sacctmgr as a real 25.11 answered it on a fresh cluster, replayed over our accounting book.

`$` is the command, `|` standard output, `!` standard error, `=` the exit code. The cluster had 4 nodes of 4 CPUs
and 4 GPUs; the database was empty but for what every cluster has.
"""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from adapters.slurm import sacctmgr, sacctmgr_changes, sacctmgr_list
from adapters.slurm.answer import Answer
from adapters.slurm.sacctmgr_fields import ClusterFacts
from adapters.slurm.sacctmgr_texts import Asker
from bridge.core.accounting import Book, empty_book

FACTS = ClusterFacts("slurm2511", tres=(("cpu", 16), ("mem", 32000), ("node", 4), ("billing", 16), ("gres/gpu", 4)))
ROOT = Asker(FACTS, "root", is_operator=True)


@dataclass
class Case:
    line: str
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    exit_code: int = 0

    @property
    def told(self) -> tuple[list[str], list[str], int]:
        return self.stdout, self.stderr, self.exit_code


def recorded() -> list[Case]:
    cases: list[Case] = []
    for line in (Path(__file__).parent / "sacctmgr_25.11.txt").read_text().split("\n"):
        mark, text = line[:1], line[2:]
        match mark:
            case "$":
                cases.append(Case(text))
            case "|":
                cases[-1].stdout.append(text)
            case "!":
                cases[-1].stderr.append(text)
            case "=":
                cases[-1].exit_code = int(text)
    return cases


def answered(line: str, book: Book) -> tuple[Case, Book]:
    order = sacctmgr.read(shlex.split(line)[1:])
    if isinstance(order, Answer):
        out, err, code = order.stdout, order.stderr, order.exit_code
    elif isinstance(order, sacctmgr.List):
        out, err, code = sacctmgr_list.text(order, book, FACTS), "", 0
    else:
        planned = sacctmgr_changes.plan(order, book, ROOT)
        out, err, code = planned.stdout, planned.stderr, planned.exit_code
        book = planned.book or book
    return Case(line, out.splitlines(), err.splitlines(), code), book


def test_a_session_goes_as_with_a_real_sacctmgr():
    book = empty_book()
    differences = []
    for case in recorded():
        ours, book = answered(case.line, book)
        if ours.told != case.told:
            differences.append(f"$ {case.line}\nSlurm: {case.told}\nours:  {ours.told}")
    assert "\n\n".join(differences) == ""
