"""-M/--clusters: this bridge is one cluster; its own name and `all` mean it, any other is refused as Slurm does."""

from dataclasses import dataclass

from adapters.slurm.answer import Answer


@dataclass(frozen=True, slots=True)
class Chosen:
    """The cluster is ours, by name."""

    warnings: str = ""
    """Of other names beside it; for standard error."""


def choose(command: str, text: str | None, own: str) -> Chosen | Answer | None:
    """None: nobody named a cluster."""
    if text is None:
        return None
    names = text.split(",")
    unknown = "".join(
        f"{command}: error: No cluster '{name}' known by database.\n" for name in names if name not in (own, "all")
    )
    if own in names or "all" in names:
        return Chosen(unknown)
    return Answer(
        stderr=f"{unknown}{command}: error: '{text}' can't be reached now, or it is an invalid entry for --cluster.  "
        "Use 'sacctmgr list clusters' to see available clusters.\n"
        f"{command}: fatal: Could not get cluster information\n",
        exit_code=1,
    )
