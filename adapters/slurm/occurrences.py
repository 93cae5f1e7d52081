"""Options as they were met, in the order of their strength: directives, #PBS/#BSUB, environment, command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from adapters.slurm import directives, foreign, getopt
from adapters.slurm.getopt import Argument
from adapters.slurm.options import BY_VARIABLE, VARIABLES, Option
from adapters.slurm.readers import Context
from adapters.slurm.values import BadValue


class Rank(IntEnum):
    """Later overrides earlier."""

    DIRECTIVE = 0
    FOREIGN = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


@dataclass(slots=True)
class Occurrence:
    option: Option
    text: str | None
    value: object
    rank: Rank
    spelled: str
    source: str


class Refusal(Exception):
    """sbatch ends here: what it prints on standard error, and its exit code."""

    def __init__(self, stderr: str, exit_code: int) -> None:
        super().__init__(stderr)
        self.stderr = stderr
        self.exit_code = exit_code


TRY_HELP = 'Try "sbatch --help" for more information\n'


def fatal(text: str) -> Refusal:
    return Refusal(f"sbatch: fatal: {text}\n", 1)


def value_of(option: Option, text: str | None, context: Context) -> object:
    try:
        return option.read(text if text is not None else "", context)
    except BadValue as bad:
        said = "".join(_error_line(line) for line in bad.lines(option.name))
        raise Refusal((f"{bad.plain}\n" if bad.plain else "") + said, bad.exit_code) from bad


def _error_line(line: str) -> str:
    return f"sbatch: {line}\n" if line.startswith("fatal: ") else f"sbatch: error: {line}\n"


def of_command_line(
    words: Sequence[str], table: getopt.Table[Option], context: Context
) -> tuple[list[Occurrence], Sequence[str]]:
    """(options, operands)"""
    met: list[Occurrence] = []
    reader = getopt.Words(words, table)
    try:
        for found in reader:
            value = value_of(found.option, found.value, context)
            met.append(Occurrence(found.option, found.value, value, Rank.COMMAND_LINE, found.spelled, "command line"))
    except getopt.UsageError as error:
        raise Refusal(f"sbatch: {error}\n{TRY_HELP}", 255) from error
    return met, words[reader.operands_at :]


def of_directives(
    component: directives.Component, name: str, table: getopt.Table[Option], context: Context
) -> list[Occurrence]:
    return _of_words(component.words, component.lines, Rank.DIRECTIVE, name, table, context)


def of_foreign(
    translated: foreign.Translated, name: str, table: getopt.Table[Option], context: Context
) -> list[Occurrence]:
    return _of_words(translated.words, translated.lines, Rank.FOREIGN, name, table, context)


def _of_words(
    words: Sequence[str],
    lines: Sequence[int],
    rank: Rank,
    name: str,
    table: getopt.Table[Option],
    context: Context,
) -> list[Occurrence]:
    met: list[Occurrence] = []
    reader = getopt.Words(words, table)
    try:
        for found in reader:
            value = value_of(found.option, found.value, context)
            source = f"{name}:{lines[found.at]}"
            met.append(Occurrence(found.option, found.value, value, rank, found.spelled, source))
    except getopt.UsageError as error:
        raise Refusal(f"sbatch: {error}\n{TRY_HELP}", 255) from error
    if reader.operands_at < len(words):
        stray = words[reader.operands_at]
        raise Refusal(f"sbatch: error: Invalid directive found in batch script: {stray}\n", 255)
    return met


def of_environment(environ: Mapping[str, str], context: Context) -> list[Occurrence]:
    given = environ.keys() & VARIABLES
    if not given:
        return []
    met = []
    for variable, option in BY_VARIABLE.items():
        if variable in given:
            text: str | None = environ[variable]
            if option.argument is Argument.NONE:
                if not sets_flag(environ[variable]):
                    continue
                text = None
            value = value_of(option, text, context)
            spelled = f"{variable}={environ[variable]}"
            met.append(Occurrence(option, text, value, Rank.ENVIRONMENT, spelled, f"environment {variable}"))
    return met


def sets_flag(text: str) -> bool:
    """Whether a variable of an option without an argument counts: empty, `yes`, or a number that is not 0."""
    number = text.strip(" ").lstrip("+-")
    return text == "" or text.lower() == "yes" or (number.isascii() and number.isdigit() and int(number[:18]) != 0)
