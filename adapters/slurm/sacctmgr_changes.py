"""sacctmgr add, modify and delete: an order and the book give what is printed, what is asked, and the new book.

Pure, so that it can be worked out for the question and again when the answer is there. Texts and exit codes
are 25.11's own.
"""

from adapters.slurm import sacctmgr_add, sacctmgr_delete, sacctmgr_modify, sacctmgr_settings
from adapters.slurm.sacctmgr import BadWord, Change
from adapters.slurm.sacctmgr_settings import Known
from adapters.slurm.sacctmgr_texts import Asker, Planned
from bridge.core.accounting import Book


def notes(order: Change) -> list[str]:
    """Sentences for people about what is kept without effect."""
    words = {"add": sacctmgr_settings.ADD_WORDS, "modify": sacctmgr_settings.SET_WORDS}.get(order.verb, {})
    return sacctmgr_settings.notes(order.words, words.get(order.entity, ()))


def plan(order: Change, book: Book, asker: Asker) -> Planned:
    known = Known(book.qos, Known(book.qos).tres | {name for name, _ in asker.facts.tres})
    try:
        match order.verb:
            case "add":
                return sacctmgr_add.add(order, book, asker, known)
            case "modify":
                return sacctmgr_modify.modify(order, book, asker, known)
            case _:
                return sacctmgr_delete.delete(order, book, asker)
    except BadWord as bad:
        if bad.on_stdout:
            return Planned(bad.text, exit_code=1)
        return Planned(stderr=bad.text, exit_code=1)
