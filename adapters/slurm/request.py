"""sbatch's command line, environment and script, read by sbatch's rules into a request and a report.

Order: the command line is checked first (bad options fail before the script is opened), then the script, then
directives, `#PBS`/`#BSUB` lines, environment and command line override one another in that order. What sbatch
itself refuses comes back as an Answer with its words and exit code; what the controller checks is not done here.
"""

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.slurm import (
    arrayspec,
    dependency,
    directives,
    errors,
    export,
    foreign,
    occurrences,
    options,
    script,
    values,
)
from adapters.slurm.occurrences import Occurrence, Rank, Refusal, fatal
from adapters.slurm.options import Context, HelpAsked, NeedsFile, Place
from bridge.core.errors import Refused
from bridge.core.nodes import Site
from bridge.core.report import Entry, Report, Treatment
from bridge.core.request import Component, Files, Gres, JobRequest, Program, SignalWish
from bridge.core.users import User

VERSION = "slurm 25.11.8"
_USAGE = "Usage: sbatch [OPTIONS(0)...] [ : [OPTIONS(N)...]] script(0) [args(0)...]\n"


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
    exit_error = _exit_error(call.environ)
    zone = call.environ.get("TZ", "")
    context = Context(call.now, zone, call.user, call.is_root, site, call.files)
    try:
        return _read(call, site, context, exit_error)
    except script.NeedsScript as needs:
        return Needs(needs.names)
    except NeedsFile as needs_file:
        return Needs((f"file: {needs_file.path}",))
    except HelpAsked as help_asked:
        return Answer(help_asked.text, "", help_asked.exit_code)
    except Refusal as refusal:
        return Answer("", refusal.stderr, refusal.exit_code)
    except directives.Unreadable as unreadable:
        return Answer("", f"sbatch: fatal: {unreadable}\n", 1)
    except Refused as refused:
        said = errors.text_of(refused.code, refused.sentence)
        return Answer("", f"sbatch: error: Batch job submission failed: {said}\n", exit_error)


def _exit_error(environ: Mapping[str, str]) -> int:
    text = environ.get("SLURM_EXIT_ERROR", "")
    return int(text) % 256 if text.isascii() and text.isdigit() and len(text) < 6 and int(text) else 1


def _read(call: Call, site: Site, context: Context, exit_error: int) -> Read:
    table = options.table(site.accept_options)
    met, operands = occurrences.of_command_line(call.argv, table, context)
    early = {one.option.name: one.text for one in met if one.option.place is Place.EARLY}
    if "version" in early:
        return Answer(f"{VERSION}\n", "", 0)
    if "help" in early or "usage" in early:
        return Answer(_help(), "", 0)
    if "quiet" in early and "verbose" in early:
        raise Refusal("sbatch: error: don't specify both --verbose (-v) and --quiet (-Q)\n", 1)
    if ":" in operands[:1]:
        raise _het()
    text, name, program = _script(call, early, operands, exit_error)
    script.check(text, exit_error)
    ignore_pbs = "SBATCH_IGNORE_PBS" in call.environ or any(one.option.name == "ignore-pbs" for one in met)
    found = directives.scan(text, name, with_foreign=not ignore_pbs)
    if len(found.components) > 1:
        raise _het()
    shown = posixpath.basename(name) or name
    directed = occurrences.of_directives(found.components[0], shown, table, context)
    if any(one.option.name == "ignore-pbs" for one in directed):
        found.foreign.clear()
    translated = foreign.translate(found.foreign, shown)
    every = [
        *directed,
        *occurrences.of_foreign(translated, shown, table, context),
        *occurrences.of_environment(call.environ, context),
        *met,
    ]
    won = _winners(every)
    _refuse_clashes(won, every)
    stderr = "".join(f"sbatch: {line}\n" for line in found.complaints)
    request, environment, said = _request(call, site, won, name, program)
    report = _report(every, won, found, translated, shown)
    parsed = {one.option.fills: one.value for one in won.values() if one.option.place is Place.PARSED}
    return Parsed(
        request,
        text,
        environment,
        report,
        stderr + said,
        parsable=bool(parsed.get("parsable")),
        quiet="quiet" in early,
        wait=bool(parsed.get("wait")),
        test_only=bool(parsed.get("test_only")),
        verbose=sum(one.option.name == "verbose" for one in met),
        clusters=_text(parsed.get("clusters")),
        exit_error=exit_error,
    )


def _het() -> Refusal:
    return Refusal("sbatch: error: heterogeneous jobs are not built yet; submit the components one by one\n", 1)


def _help() -> str:
    lines = [_USAGE, "\nOptions, and what becomes of each here:\n"]
    for option in options.OPTIONS:
        short = f"-{option.short}, " if option.short else "    "
        lines.append(f"  {short}--{option.name:<22} {option.treatment}: {option.sentence}\n")
    return "".join(lines)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _script(
    call: Call, early: Mapping[str, str | None], operands: Sequence[str], exit_error: int
) -> tuple[bytes, str, Program]:
    """(content, name for messages, program)"""
    if "wrap" in early:
        if operands:
            raise Refusal("sbatch: fatal: Script arguments not permitted with --wrap option\n", 1)
        return script.wrapped(early["wrap"] or ""), "wrap", Program(wrapped=True)
    if not operands:
        return script.of_standard_input(call.files), "sbatch", Program()
    text, path = script.of_file(operands[0], call.files, call.environ, exit_error)
    command = posixpath.normpath(posixpath.join(call.working_directory, path))
    return text, path, Program(arguments=tuple(operands[1:]), command=command)


def _winners(every: Sequence[Occurrence]) -> dict[tuple[Place, str], Occurrence]:
    """For each field the strongest: the later source, and within one the last."""
    won: dict[tuple[Place, str], Occurrence] = {}
    for one in every:
        key = one.option.key
        if one.option.place is Place.EARLY:
            continue
        before = won.get(key)
        if before is not None and one.option.fills == "mail_types" and before.rank is one.rank:
            one.value = tuple(dict.fromkeys([*_names(before.value), *_names(one.value)]))
        won[key] = one
    return won


def _names(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


_MEMORY = ("mem", "mem_per_cpu", "mem_per_gpu")


def _refuse_clashes(won: dict[tuple[Place, str], Occurrence], every: Sequence[Occurrence]) -> None:
    """Options that exclude each other. A memory kind from the environment gives way to another's from elsewhere."""
    memory = [won[Place.SPECIAL, kind] for kind in _MEMORY if (Place.SPECIAL, kind) in won]
    given = [one for one in memory if one.rank is not Rank.ENVIRONMENT]
    if len(given) > 1 or (not given and len(memory) > 1):
        raise fatal("--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.")
    if given and len(memory) > 1:
        for one in memory:
            if one.rank is Rank.ENVIRONMENT:
                del won[one.option.key]
    has = {one.option.name for one in won.values()}
    if {"oversubscribe", "exclusive"} <= has:
        raise fatal("--exclusive and --oversubscribe options are mutually exclusive.")
    tres = won.get((Place.SPECIAL, "tres_per_task"))
    if "cpus-per-gpu" in has and "cpus-per-task" in has:
        raise fatal("--cpus-per-task, --tres-per-task=cpu:#, and --cpus-per-gpu are mutually exclusive")
    if tres is not None and "cpu" in (tres.text or "") and "cpus-per-gpu" in has:
        raise fatal("--cpus-per-task, --tres-per-task=cpu:#, and --cpus-per-gpu are mutually exclusive")
    if "core-spec" in has and "thread-spec" in has:
        raise fatal("-S/--core-spec and --thread-spec options are mutually exclusive")
    if "ntasks-per-gpu" in has:
        for other in ("gpus-per-task", "gpus-per-socket", "ntasks-per-node"):
            if other in has:
                raise fatal(f"--{other} is mutually exclusive with --ntasks-per-gpu and SLURM_NTASKS_PER_GPU")


def _request(
    call: Call, site: Site, won: Mapping[tuple[Place, str], Occurrence], name: str, program: Program
) -> tuple[JobRequest, bytes, str]:
    """(request, environment blob, warnings for standard error)"""
    special = {fills: one for (place, fills), one in won.items() if place is Place.SPECIAL}
    component, said = _component(won, special)
    of_request: dict[str, Any] = {fills: one.value for (place, fills), one in won.items() if place is Place.REQUEST}
    files = Files(**{fills: one.value for (place, fills), one in won.items() if place is Place.FILES})  # type: ignore[arg-type]
    exported = _exported(call, special)
    user = special["user"].value if "user" in special else call.user
    assert isinstance(user, User)
    array_text = special["array"].text if "array" in special else ""
    wait_text = special["dependency"].text if "dependency" in special else ""
    chdir = special["chdir"].text if "chdir" in special else None
    default_name = posixpath.basename(name)
    distribution = special.get("distribution")
    signal = special.get("signal")
    request = JobRequest(
        name=(special["name"].text or "") if "name" in special else default_name,
        user=user.name,
        uid=user.uid,
        gid=_number(special["gid"].value) if "gid" in special else user.gid,
        program=program,
        components=(component,),
        array=arrayspec.parse(array_text or "", site.max_array_size),
        dependency=dependency.parse(wait_text or ""),
        signal=_signal(signal.value) if signal is not None else None,
        files=files,
        working_directory=posixpath.normpath(posixpath.join(call.working_directory, chdir or "")),
        umask=call.umask,
        rlimits=_limits(call, special),
        export=special["export"].text if "export" in special else None,
        load_login_environment=exported.load_login_environment,
        distribution=_distribution(distribution.value) if distribution is not None else None,
        submit_line=" ".join(["sbatch", *call.argv]) if all(call.argv) else shlex.join(["sbatch", *call.argv]),
        submit_directory=call.working_directory,
        submit_host=call.host,
        recorded=tuple((one.option.name, one.text or "") for (place, _), one in won.items() if place is Place.RECORDED),
        environment_of_options=(*_exports(won), *exported.set_in_job),
        **of_request,
    )
    return request, export.packed(exported.environment), said


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _signal(value: object) -> SignalWish:
    assert isinstance(value, values.SignalOption)
    if value.reservation_only:
        raise Refused("--signal=R: needs preemption", code="preemption_off", field="signal")
    return value.wish


def _distribution(value: object) -> str:
    assert isinstance(value, tuple)
    return str(value[0])


def _limits(call: Call, special: Mapping[str, Occurrence]) -> tuple[tuple[str, int, int], ...]:
    wanted = special.get("propagate")
    if wanted is None:
        return call.rlimits
    return tuple(limit for limit in call.rlimits if limit[0] in _names(wanted.value))


def _exported(call: Call, special: Mapping[str, Occurrence]) -> export.Exported:
    given = special["export"].text if "export" in special else None
    if "export_file" in special:
        content = special["export_file"].value
        assert isinstance(content, bytes)
        return export.Exported(export.from_file(content), "get_user_env" in special)
    return export.apply(given, call.environ, get_user_env="get_user_env" in special)


def _exports(won: Mapping[tuple[Place, str], Occurrence]) -> tuple[tuple[str, str], ...]:
    return tuple((one.option.exports, one.text or "") for one in won.values() if one.option.exports)


def _component(won: Mapping[tuple[Place, str], Occurrence], special: Mapping[str, Occurrence]) -> tuple[Component, str]:
    fields: dict[str, Any] = {fills: one.value for (place, fills), one in won.items() if place is Place.COMPONENT}
    if "shape" in special and isinstance(special["shape"].value, dict):
        fields = {**special["shape"].value, **fields}
    said = ""
    if "nodes" in special:
        nodes = special["nodes"].value
        assert isinstance(nodes, values.Nodes)
        fields |= {"nodes_min": nodes.least, "nodes_max": nodes.most, "node_sizes": nodes.sizes}
        tasks = fields.get("tasks")
        if isinstance(tasks, int) and nodes.least is not None and tasks < nodes.least:
            said = f"sbatch: warning: can't run {tasks} processes on {nodes.least} nodes, setting nnodes to {tasks}\n"
    for kind, name in zip(_MEMORY, ("memory_per_node_mib", "memory_per_cpu_mib", "memory_per_gpu_mib"), strict=True):
        if kind in special:
            fields[name] = special[kind].value
    if "constraint" in special:
        fields["constraint"] = special["constraint"].text or None
    per_node: tuple[Gres, ...] = ()
    for kind in ("gres", "gpus_per_node"):
        if kind in special:
            found = special[kind].value
            assert isinstance(found, tuple)
            per_node += found
    per_task: tuple[Gres, ...] = ()
    if "gpus_per_task" in special:
        found = special["gpus_per_task"].value
        assert isinstance(found, tuple)
        per_task += found
    if "tres_per_task" in special:
        cpus, more = _tres_per_task(special["tres_per_task"].text or "")
        per_task += more
        if cpus is not None:
            fields.setdefault("cpus_per_task", cpus)
    return Component(**fields, gres_per_node=per_node, gres_per_task=per_task), said


def _tres_per_task(text: str) -> tuple[int | None, tuple[Gres, ...]]:
    """`cpu=2,gres/gpu:a100=1`; either sign before a count."""
    cpus: int | None = None
    found: list[Gres] = []
    for item in text.split(","):
        name, _, amount = item.replace("=", ":").rpartition(":")
        if not amount.isdigit():
            name, amount = item, "1"
        if name == "cpu":
            cpus = int(amount)
        elif name.startswith("gres/"):
            kind, _, model = name[5:].partition(":")
            found.append(Gres(kind, model or None, int(amount)))
        elif name.startswith("license/"):
            continue
        else:
            raise fatal(f"Invalid TRES for --tres-per-task: {name}")
    return cpus, tuple(found)


def _report(
    every: Sequence[Occurrence],
    won: Mapping[tuple[Place, str], Occurrence],
    found: directives.Directives,
    translated: foreign.Translated,
    name: str,
) -> Report:
    entries = []
    for one in every:
        sentence, treatment = one.option.sentence, one.option.treatment
        winner = won.get(one.option.key)
        if winner is not None and winner is not one and one.option.fills != "mail_types":
            treatment, sentence = Treatment.RECORDED, f"overridden by {winner.spelled} ({winner.source})"
        changes = one.option.changes_results and winner is one
        entries.append(Entry(one.spelled, one.source, treatment, sentence, changes))
    for line, lost in translated.lost:
        sentence = "it has no counterpart in sbatch and does nothing"
        entries.append(Entry(lost, f"{name}:{line}", Treatment.RECORDED, sentence, changes_results=True))
    return Report(tuple(entries), (*found.warnings, *_slips(every)))


def _slips(every: Sequence[Occurrence]) -> list[str]:
    """What people write and sbatch takes otherwise than they mean."""
    warnings = []
    for one in every:
        text = one.text or ""
        if one.option.place is Place.FILES and ("$" in text or text.startswith("~")):
            warnings.append(f"{one.source}: {one.spelled}: sbatch expands no variables; write %u, %j, or a plain path")
        elif text.startswith("=") and one.option.short and not one.spelled.startswith("--"):
            warnings.append(f"{one.source}: {one.spelled}: the value is {text!r}; write -{one.option.short} {text[1:]}")
        elif text.startswith(("<", "{{")) and text.endswith((">", "}}")):
            warnings.append(f"{one.source}: {one.spelled}: a left-over of a template")
    return warnings
