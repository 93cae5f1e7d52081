"""`POST job/submit`: the body to a request, as slurmrestd and slurmctld together read it."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapters.slurm import assembly, export
from adapters.slurm.chosen import Chosen, choose
from adapters.slurm.occurrences import Occurrence, Rank, Refusal
from adapters.slurm.options import BY_NAME
from adapters.slurm.readers import Context
from adapters.slurm.rest import description, envelope, parsing
from adapters.slurm.rest.description import DESCRIPTION
from adapters.slurm.rest.envelope import Error, Said
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import INT32, TEXT, Json, List, Record, until
from adapters.slurm.rest.taking import SUBMISSION_FAILED, SUBMIT_SOURCE, Gathered
from bridge.core.errors import Refused
from bridge.core.nodes import Site
from bridge.core.report import Report
from bridge.core.request import JobRequest, Origin, Program
from bridge.core.users import User

BODY = Record("job_submit_req", {"script": TEXT, "jobs": List(DESCRIPTION), "job": DESCRIPTION})
_PARSER = "JOB_SUBMIT_REQ"
ANSWER = envelope.answer(
    "openapi_job_submit_response",
    {
        "result": until(
            41,
            Record(
                "job_submit_response_msg",
                {"job_id": INT32, "step_id": TEXT, "error_code": INT32, "error": TEXT, "job_submit_user_msg": TEXT},
            ),
        ),
        "job_id": INT32,
        "step_id": TEXT,
        "job_submit_user_msg": TEXT,
    },
    required=False,
)
ALLOCATE_BODY = Record("job_alloc_req", {"hetjob": List(DESCRIPTION), "job": DESCRIPTION})
ALLOCATE_ANSWER = envelope.answer(
    "openapi_job_alloc_resp", {"job_id": INT32, "job_submit_user_msg": TEXT}, required=False
)
HET_SENTENCE = "jobs of several components (hetjob) cannot be run here yet; submit them one by one"
UMASK = 0o022


@dataclass(frozen=True, slots=True)
class Asker:
    """What of the world a submission is read with."""

    user: User
    is_operator: bool
    site: Site
    now: float
    find_user: Callable[[int | str], User | None]


@dataclass(frozen=True, slots=True)
class Read:
    request: JobRequest
    script: bytes
    environment: bytes = field(repr=False)
    report: Report


def refused(number: int, text: str = "") -> Failed:
    return Failed(Error(SUBMISSION_FAILED, number, SUBMIT_SOURCE, text))


def read(body: Json, version: int, asker: Asker, said: Said) -> Read:
    """Raises Failed: nothing is submitted."""
    script, into = _parsed(body, version, asker, said)
    if not script and (into is None or not into.script):
        raise _incomplete('Populated "script" field is required for job submission')
    if into is None:
        raise _incomplete('Specifying either "job" or "jobs" fields are required to submit job')
    _must_be_whole(into, asker)
    return _assembled(into, script or into.script or "", asker, said)


def _incomplete(description: str) -> Failed:
    return Failed(Error(description, envelope.INVALID_QUERY, "_job_post"))


def _parsed(body: Json, version: int, asker: Asker, said: Said) -> tuple[str | None, Gathered | None]:
    given = parsing.an_object({} if body is None else body, "#/")
    script: str | None = None
    parts: list[Gathered] = []
    one: Gathered | None = None
    try:
        if "script" in given:
            script = parsing.text(given["script"], "#/script/", said)
        if "jobs" in given:
            listed = given["jobs"] if isinstance(given["jobs"], list) else [parsing.plain_text(given["jobs"])]
            for index, part in enumerate(listed):
                parts.append(_gathered(part, version, f"#/jobs[{index}]/", asker, said))
        if "job" in given:
            one = _gathered(given["job"], version, "#/job/", asker, said)
    finally:
        parsing.warn_of_unknown(given, BODY.fields.keys(), "#/", said, _PARSER)
    has_list = "jobs" in given
    if one is not None and has_list:
        raise _incomplete('Specify only one "job" or "jobs" fields but never both')
    if has_list and not parts:
        description = "Refusing HetJob submission without any components"
        raise Failed(Error(description, 11, "_job_post_het_submit", "Resource temporarily unavailable"))
    if len(parts) > 1:
        raise Failed(Error("HetJob submission failed", -1, "slurm_submit_batch_het_job()", HET_SENTENCE))
    return script, one if one is not None else (parts[0] if parts else None)


def _gathered(value: Json, version: int, place: str, asker: Asker, said: Said) -> Gathered:
    context = Context(asker.now, "", asker.user, asker.is_operator, asker.site, {}, asker.find_user)
    into = Gathered(context, asker.find_user)
    description.gather(value, version, place, into, said)
    return into


NO_DIRECTORY = 2063
NO_ENVIRONMENT = 2019
NOT_AT_ONCE = 2078
OTHER_USER = 2010


def _must_be_whole(into: Gathered, asker: Asker) -> None:
    if not into.directory:
        raise refused(NO_DIRECTORY)
    if not into.directory.startswith("/") or "\0" in into.directory:
        raise refused(NO_DIRECTORY, "The current working directory must be an absolute path.")
    if not into.environment:
        raise refused(NO_ENVIRONMENT)
    if into.job_id > 0:
        raise refused(-1, "the bridge itself gives jobs their ids")
    if into.is_immediate:
        raise refused(NOT_AT_ONCE)
    if into.user is not None and into.user.uid != asker.user.uid and not asker.is_operator:
        raise refused(OTHER_USER)
    user = into.user or asker.user
    if into.gid is not None and into.gid not in (user.gid, *user.groups) and not asker.is_operator:
        raise refused(OTHER_USER)


def _assembled(into: Gathered, script: str, asker: Asker, said: Said) -> Read:
    user = into.user or asker.user
    chosen = choose(into.met)
    _let_one_memory_win(chosen, into.met)
    if into.gid is not None:
        chosen.special["gid"] = Occurrence(BY_NAME["gid"], str(into.gid), into.gid, Rank.COMMAND_LINE, "group_id", "")
    try:
        components, warned = assembly.components_of([chosen])
        request = assembly.request_of(
            chosen,
            components,
            export.Exported({}, load_login_environment=False),
            _program(into),
            "",
            asker.site.max_array_size,
            _submitted(into),
            user,
        )
    except Refused as error:
        raise Failed(envelope.of_bridge(SUBMISSION_FAILED, error, SUBMIT_SOURCE)) from error
    except Refusal as refusal:
        raise refused(-1, refusal.stderr.strip().removeprefix("sbatch: ")) from refusal
    for line in warned.splitlines():
        said.warn(line.removeprefix("sbatch: warning: "), SUBMIT_SOURCE)
    if into.kept:
        request = _with_kept(request, into)
    return Read(request, _bytes(script), _packed(into.environment), Report(tuple(description.entries(into))))


def _let_one_memory_win(chosen: Chosen, met: list[Occurrence]) -> None:
    """slurmctld keeps the memory of a node and of a CPU in one place: the later field wins."""
    kinds = [one.option.fills for one in met if one.option.fills in ("mem", "mem_per_cpu")]
    for kind in kinds[:-1]:
        if kind != kinds[-1]:
            chosen.special.pop(kind, None)


def _program(into: Gathered) -> Program:
    """argv[0] is the script's name where it came from."""
    command = into.arguments[0] if into.arguments else None
    return Program(arguments=tuple(into.arguments[1:]), command=command or None)


def _submitted(into: Gathered) -> dict[str, Any]:
    return {
        "origin": Origin.HTTP,
        "working_directory": into.directory,
        "umask": UMASK,
        "rlimits": tuple(into.limits),
        "submit_line": None,
        "submit_directory": into.directory,
        "submit_host": "",
    }


def _with_kept(request: JobRequest, into: Gathered) -> JobRequest:
    kept = tuple((name.replace("_", "-"), value) for name, value, _ in into.kept)
    return dataclasses.replace(request, recorded=request.recorded + kept)


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _packed(items: list[str]) -> bytes:
    """A name without a value, or a value without a name, is nothing that a program could see."""
    return _bytes("\0".join([item for item in items if item.find("=") > 0 and "\0" not in item]))
