"""What `sbatch --help` and `--usage` print: made from the table, in our words."""

from functools import lru_cache

from adapters.slurm.getopt import Argument
from adapters.slurm.options import OPTIONS, Option

_ARGUMENT = {Argument.NONE: "", Argument.REQUIRED: "=VALUE", Argument.OPTIONAL: "[=VALUE]"}


@lru_cache(maxsize=1)
def full() -> str:
    lines = [
        "Usage: sbatch [OPTIONS(0)...] [ : [OPTIONS(N)...]] script(0) [args(0)...]\n",
        "\n",
        "Options, and what becomes of them here:\n",
        *(_described(option) for option in OPTIONS),
    ]
    return "".join(lines)


def _described(option: Option) -> str:
    short = f"-{option.short}, " if option.short else "    "
    spelled = f"  {short}--{option.name}{_ARGUMENT[option.argument]}"
    return f"{spelled:<34} {option.treatment}: {option.sentence}\n"


@lru_cache(maxsize=1)
def usage() -> str:
    """Wrapped at 80 columns, the name of the script last."""
    lines, line = list[str](), "Usage: sbatch"
    for option in OPTIONS:
        word = f"[--{option.name}{_ARGUMENT[option.argument]}]"
        if len(line) + 1 + len(word) > 80:
            lines.append(line)
            line = " " * 13
        line += f" {word}"
    return "\n".join([*lines, line, " " * 14 + "script [args...]", ""])
