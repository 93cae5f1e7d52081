"""sbatch's command line, environment and script, read by sbatch's rules into a request and a report.

Order: the command line is checked first (bad options fail before the script is opened), then the script, then
directives, `#PBS`/`#BSUB` lines, environment and command line override one another in that order. What sbatch
itself refuses comes back as an Answer with its words and exit code; what the controller checks is not done here,
but for values that cannot be read at all (array, dependency, constraint, `--signal=R:`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.slurm import (
    answer,
    assembly,
    choices,
    directives,
    errors,
    export,
    foreign,
    occurrences,
    options,
    reporting,
    script,
    values,
)
from adapters.slurm import help as help_texts
from adapters.slurm.chosen import Chosen, choose, settle
from adapters.slurm.occurrences import Occurrence, Refusal
from adapters.slurm.readers import Context, HelpAsked, NeedsFile
from bridge.core.errors import Refused
from bridge.core.nodes import Site
from bridge.core.report import Report
from bridge.core.request import JobRequest, Program
from bridge.core.users import User

HET_SENTENCE = "jobs of several components (hetjob) cannot be run here yet; submit the {count} components one by one"


@dataclass(frozen=True, slots=True)
class Call:
    """`argv` is without the command's own name."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    working_directory: str
    umask: int
    rlimits: tuple[tuple[str, int, int], ...]
    host: str
    user: User
    is_root: bool
    now: float
    files: Mapping[str, bytes | str] = field(repr=False)
    """What the client read, by `script: PATH`, `stdin` or `file: PATH`: content, or the name of an error."""
    find_user: Callable[[str], User | None] | None = None
    """For --uid, which only root may give: a user by name or number."""


@dataclass(frozen=True, slots=True)
class Needs:
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    stdout: str
    stderr: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Parsed:
    request: JobRequest
    script: bytes
    environment: bytes = field(repr=False)
    report: Report
    stderr: str = ""
    parsable: bool = False
    quiet: bool = False
    wait: bool = False
    test_only: bool = False
    verbose: int = 0
    clusters: str | None = None
    exit_error: int = 1


Read = Needs | Answer | Parsed


def read(call: Call, site: Site) -> Read:
    exit_error, said = _exit_error(call.environ)
    context = Context(call.now, call.environ.get("TZ", ""), call.user, call.is_root, site, call.files, call.find_user)
    try:
        return _read(call, site, context, exit_error, said)
    except script.NeedsScript as needs:
        return Needs(needs.names)
    except NeedsFile as needs_file:
        return Needs((f"file: {needs_file.path}",))
    except HelpAsked as help_asked:
        return Answer(help_asked.text, _lines(said), help_asked.exit_code)
    except Refusal as refusal:
        return Answer("", _lines(said) + refusal.stderr, refusal.exit_code)
    except directives.Unreadable as unreadable:
        return Answer("", _lines([*said, f"fatal: {unreadable}"]), 1)
    except foreign.NotUnderstood as wrong:
        return Answer("", _lines([*said, *wrong.lines]), 1)


def _lines(said: Sequence[str]) -> str:
    return "".join([f"sbatch: {line}\n" for line in said])


def _exit_error(environ: Mapping[str, str]) -> tuple[int, list[str]]:
    """(SLURM_EXIT_ERROR instead of 1 for errors that are not the options', what sbatch says of a useless one)"""
    text = environ.get("SLURM_EXIT_ERROR")
    if text is None:
        return 1, []
    number = values.leading_integer(text)
    return (number % 256, []) if number else (1, ["error: SLURM_EXIT_ERROR has zero value"])


def _read(call: Call, site: Site, context: Context, exit_error: int, said: list[str]) -> Read:
    """`said`: lines for standard error, without sbatch's name; added to as sbatch says them."""
    table = options.table(site.accept_options, images=any(one.images for one in site.partitions))
    of_command, operands = _command_line(call.argv, table, context)
    first = choose(of_command[0])
    told = _told_at_once(first.early)
    if told is not None:
        return told
    content, name, program = _script(call, first, operands, exit_error)
    script.check(content, exit_error)
    with_foreign = not _has_ignore_pbs(of_command[0], call.environ)
    # What is given to --wrap is read by the shell alone.
    read = b"" if program.wrapped else content
    found = directives.scan(read, name, with_foreign=with_foreign, complaints=said)
    base_name = name.rpartition("/")[2] or name
    parts, translated = _parts(of_command, found, base_name, table, call.environ, context)
    for _, chosen in parts:
        settle(chosen, exit_error)
    return _finish(call, site, parts, found, translated, content, base_name, program, exit_error)


Parts = list[tuple[list[Occurrence], Chosen]]
"""For each component of the job: every occurrence in order of strength, and what counts."""


def _command_line(
    argv: Sequence[str], table: options.Table, context: Context
) -> tuple[list[list[Occurrence]], Sequence[str]]:
    """(options of each component, operands); a lone colon separates components."""
    components: list[list[Occurrence]] = []
    operands: Sequence[str] = argv
    while True:
        met, operands = occurrences.of_command_line(operands, table, context)
        components.append(met)
        if not operands or operands[0] != ":":
            return components, operands
        operands = operands[1:]


def _told_at_once(early: Mapping[str, Occurrence]) -> Answer | None:
    """--help, --version and the like: whatever else is asked, nothing is submitted."""
    if "help" in early:
        return Answer(help_texts.full(), "", 0)
    if "usage" in early:
        return Answer(help_texts.usage(), "", 0)
    if "version" in early:
        return Answer(answer.ANNOUNCEMENT, "", 0)
    if "autocomplete" in early:
        return Answer("", "", 0)
    if "quiet" in early and "verbose" in early:
        raise Refusal("sbatch: error: don't specify both --verbose (-v) and --quiet (-Q)\n", 1)
    return None


def _has_ignore_pbs(met: Sequence[Occurrence], environ: Mapping[str, str] | None = None) -> bool:
    text = environ.get("SBATCH_IGNORE_PBS") if environ is not None else None
    return any(one.option.name == "ignore-pbs" for one in met) or (text is not None and occurrences.sets_flag(text))


def _script(call: Call, first: Chosen, operands: Sequence[str], exit_error: int) -> tuple[bytes, str, Program]:
    """(content, name for messages, program)"""
    if "external" in first.early:
        if operands:
            raise Refusal("sbatch: error: Script arguments not permitted with --external option\n", 1)
        raise Refusal("sbatch: error: --external: a job without a script cannot be run here\n", 1)
    if "wrap" in first.early:
        if operands:
            raise Refusal("sbatch: error: Script arguments not permitted with --wrap option\n", 1)
        return script.wrapped(first.early["wrap"].text or ""), "wrap", Program(wrapped=True)
    if not operands:
        return script.of_standard_input(call.files), "sbatch", Program()
    chdir = first.special.get("chdir")
    directory = None if chdir is None else _joined(call.working_directory, chdir.text or "")
    content, path = script.of_file(operands[0], call.files, call.environ, exit_error, directory)
    return content, path, Program(arguments=tuple(operands[1:]), command=_command(call, path, directory))


def _command(call: Call, path: str, directory: str | None) -> str:
    """The script's path as sbatch keeps it: as written where that begins with a dot or --chdir did not lead to it."""
    if path[:1] in ("/", ".") or directory is not None:
        return path
    return _joined(call.working_directory, path)


def _joined(directory: str, path: str) -> str:
    """Dots stay, as in sbatch."""
    return path if path[:1] == "/" else f"{directory}/{path}"


def _parts(
    of_command: list[list[Occurrence]],
    found: directives.Directives,
    name: str,
    table: options.Table,
    environ: Mapping[str, str],
    context: Context,
) -> tuple[Parts, foreign.Translated]:
    parts: Parts = []
    translated = foreign.Translated()
    for number in range(max(len(of_command), len(found.components))):
        directed: list[Occurrence] = []
        if number < len(found.components):
            directed = occurrences.of_directives(found.components[number], name, table, context)
        if number == 0 and found.foreign and not _has_ignore_pbs(directed):
            translated = foreign.translate(found.foreign, name)
            directed += occurrences.of_foreign(translated, name, table, context)
        every = [
            *directed,
            *occurrences.of_environment(environ, context),
            *of_command[min(number, len(of_command) - 1)],
        ]
        parts.append((every, choose(every, parts[-1][1] if parts else None)))
    return parts, translated


def _finish(
    call: Call,
    site: Site,
    parts: Parts,
    found: directives.Directives,
    translated: foreign.Translated,
    content: bytes,
    name: str,
    program: Program,
    exit_error: int,
) -> Parsed | Answer:
    chosen = parts[0][1]
    parsed = chosen.parsed
    test_only = "test_only" in parsed
    verbose = sum(one.option.name == "verbose" for one in parts[0][0] if one.source == "command line")
    verbose = verbose or _debug_level(call.environ)
    said = _lines(found.complaints)
    if verbose:
        said += "".join(reporting.verbose(one, verbose) for _, one in parts)
    said += _ignored(chosen)
    if len(parts) > 1:
        sentence = HET_SENTENCE.format(count=len(parts))
        return Answer("", f"{said}sbatch: error: Batch job submission failed: {sentence}\n", exit_error)
    try:
        components, warned = assembly.components_of([one for _, one in parts])
        exported = assembly.environment_of(chosen, call.environ)
        if "export" in chosen.special and (complaint := export.complaint(chosen.special["export"].text)):
            said += f"sbatch: error: {complaint}\n"
        _check_acctg_freq(chosen, site)
        request = assembly.request_of(
            chosen, components, exported, program, name, site.max_array_size, _submitted(call, chosen), call.user
        )
    except Refused as refused:
        return _refused(refused, said, test_only, exit_error)
    return Parsed(
        request,
        content,
        export.packed(exported.environment),
        reporting.report(parts, found, translated, name, sends_mail=site.sends_mail),
        said + warned,
        parsable="parsable" in parsed,
        quiet="quiet" in chosen.early and chosen.early["quiet"].source == "command line",
        wait="wait" in parsed,
        test_only=test_only,
        verbose=verbose,
        clusters=str(parsed["clusters"].value) if "clusters" in parsed else None,
        exit_error=exit_error,
    )


def _check_acctg_freq(chosen: Chosen, site: Site) -> None:
    asked = chosen.recorded.get("acctg-freq")
    if asked is not None and choices.is_sampled_too_rarely(asked.text or "", site.accounting_interval_seconds):
        seconds = site.accounting_interval_seconds
        raise Refused(f"tasks are looked at every {seconds} s here", code="invalid_acctg_freq", field="acctg_freq")


def _refused(refused: Refused, said: str, test_only: bool, exit_error: int) -> Answer:
    """What only the controller says no to, in its words."""
    text = errors.text_of(refused.code, refused.sentence)
    if test_only:
        return Answer("", f"{said}allocation failure: {text}\n", 1)
    return Answer("", f"{said}sbatch: error: Batch job submission failed: {text}\n", exit_error)


def _debug_level(environ: Mapping[str, str]) -> int:
    text = environ.get("SBATCH_DEBUG", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 else 0


_NOT_ALLOWED = "since it's not allowed by configuration (AllowSpecResourcesUsage = No)"


def _ignored(chosen: Chosen) -> str:
    said = ""
    for name, spelled in (("core-spec", "-S"), ("thread-spec", "--thread-spec")):
        if name in chosen.recorded:
            said += f"sbatch: error: Ignoring {spelled} {_NOT_ALLOWED}\n"
    return said


def _submitted(call: Call, chosen: Chosen) -> dict[str, Any]:
    """Fields of the request that the call itself fills."""
    special = chosen.special
    limits = call.rlimits
    if "propagate" in special:
        wanted = special["propagate"].value
        assert isinstance(wanted, tuple)
        limits = tuple(limit for limit in limits if limit[0] in wanted)
    directory = call.working_directory
    if "chdir" in special:
        directory = _joined(directory, special["chdir"].text or "")
    return {
        "working_directory": directory,
        "umask": call.umask,
        "rlimits": limits,
        "submit_line": " ".join(["sbatch", *call.argv]),
        "submit_directory": call.working_directory,
        "submit_host": call.host,
    }
