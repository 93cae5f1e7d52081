"""Which field of a structured submission a refusal is about: the reader and the site speak of options of sbatch."""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence

Refuses = Callable[[Sequence[str]], str | None]
"""What sbatch would say to these options; None: it takes them."""

_OPTIONS_OF: Mapping[str, tuple[str, ...]] = {
    "cpus": ("mincpus", "cpus_per_task", "ntasks_per_node"),
    "gres": ("gres", "gpus", "gpus_per_node", "gpus_per_task", "gpus_per_socket", "tres_per_task"),
    "memory": ("mem", "mem_per_cpu", "mem_per_gpu"),
    "shape": ("sockets_per_node", "cores_per_socket", "threads_per_core", "extra_node_info"),
    "temporary_disk": ("tmp",),
}
"""What the site calls a thing → the options that ask for it; elsewhere the words are the same."""


def of_reading(options: Sequence[str], fields: Mapping[str, Sequence[str]], said: str, refuses: Refuses) -> str:
    """The field that makes sbatch say this. `fields`: name → its words on the command line."""
    if not fields or refuses(options) == said:
        return "options"
    for name, words in fields.items():
        if refuses(words) == said:
            return f"fields.{name}"
    # Together they clash: the first of those that are named.
    named = set(re.findall(r"--([a-z-]+)", said))
    return next((f"fields.{name}" for name in fields if _plain(name) in {_plain(one) for one in named}), "fields")


def of_site(field: str | None, fields: Collection[str]) -> str | None:
    """The site's word for what is wrong, as a field of the body where it came from there."""
    wanted = {_plain(one) for one in _OPTIONS_OF.get(field or "", (field or "",))}
    return next((f"fields.{name}" for name in fields if _plain(name) in wanted), field)


def near(name: str, known: Collection[str]) -> str:
    """A hint to options of nearly that name; empty: there are none."""
    begins_with = [one for one in known if _plain(name).startswith(_plain(one))]
    alike = difflib.get_close_matches(name.replace("_", "-"), known, 3, 0.55)
    found = list(dict.fromkeys([*begins_with, *alike]))
    return f"; near to it are {', '.join(found)}" if found else ""


def _plain(name: str) -> str:
    return name.replace("-", "_")
