"""sbatch at the server: script and options to a draft, the draft to the service, and how the end is waited for."""

from collections.abc import Sequence
from typing import Any

from adapters.slurm import errors, hostlist, request
from bridge.core.errors import BridgeError, NotFound, Refused, Unavailable
from bridge.core.job import Job
from bridge.core.report import Report, Treatment
from bridge.core.users import Caller
from bridge.service.terms import Draft, Selector
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World

LONGEST_POLL_SECONDS = 8.0
"""--wait: so long a call stays open; it answers at once when the job has ended."""


async def run(world: World, caller: Caller, call: Call) -> Reply:
    waited_for = call.state.get("job_id")
    if isinstance(waited_for, int) and not isinstance(waited_for, bool):
        return await _wait(world, caller, waited_for, _exit_error(call.state))
    parsed = request.read(
        request.Call(
            argv=call.argv,
            environ=call.environ,
            working_directory=call.working_directory,
            umask=call.umask,
            rlimits=call.rlimits,
            host=call.host,
            user=caller.user,
            is_root=caller.user.uid == 0,
            now=world.now(),
            files=call.files,
            find_user=world.find_user,
        ),
        world.service.site,
    )
    if isinstance(parsed, request.Needs):
        return Reply(needs=parsed.files)
    if isinstance(parsed, request.Answer):
        return Reply(parsed.stdout, parsed.stderr, parsed.exit_code)
    draft = Draft(parsed.request, parsed.script, parsed.environment, parsed.report, call.idempotency_key)
    if parsed.test_only:
        return await _test(world, caller, call, draft, parsed.stderr)
    try:
        job = (await world.service.submit(caller, [draft]))[0]
    except (Refused, Unavailable) as error:
        said = parsed.stderr + _refusal_lines(error)
        if call.writes_to_terminal and error.code in errors.ERRORS:
            said += f"sbatch: note: {error.sentence}\n"
        return Reply(stderr=said, exit_code=parsed.exit_error)
    stdout = _announcement(job, parsed)
    stderr = parsed.stderr + notes(parsed.report, everything=_wants_notes(call))
    if parsed.wait:
        return Reply(stdout, stderr, 0, again_in_seconds=0.0, state={"job_id": job.id, "exit_error": parsed.exit_error})
    return Reply(stdout, stderr)


def _announcement(job: Job, parsed: request.Parsed) -> str:
    if parsed.quiet:
        return ""
    if parsed.parsable:
        return f"{job.id};{parsed.clusters}\n" if parsed.clusters else f"{job.id}\n"
    where = f" on cluster {parsed.clusters}" if parsed.clusters else ""
    return f"Submitted batch job {job.id}{where}\n"


def _wants_notes(call: Call) -> bool:
    """Programs parse standard error: notes go to people, and to who asks for them."""
    return call.writes_to_terminal or call.environ.get("BRIDGE_NOTES") == "1"


def notes(report: Report, *, everything: bool) -> str:
    """What the user should know of the report: always what changes results, the rest only on wish."""
    lines = [
        f"sbatch: note: {entry.text} ({entry.source}): {entry.sentence}\n"
        for entry in report.entries
        if entry.changes_results
        or (everything and entry.treatment in (Treatment.APPROXIMATED, Treatment.RECORDED, Treatment.REFUSED))
    ]
    if everything:
        lines += [f"sbatch: note: {warning}\n" for warning in report.warnings]
    return "".join(lines)


def _refusal_lines(error: BridgeError) -> str:
    """The controller's extra line where Slurm has one, then its text for the error."""
    lines: list[str] = []
    if error.code == "invalid_partition" or error.sentence.endswith(("can not be satisfied", "using reservation")):
        lines.append(f"sbatch: error: {error.sentence}\n")
    if error.code == "policy_limit":
        lines.append(f"sbatch: error: {error.sentence.partition(':')[0]}\n")
    text = errors.text_of(error.code, error.sentence)
    # That no node has such a device is seen by sbatch itself, which knows the kinds of the cluster.
    lines.append(f"sbatch: error: {'' if error.code == 'invalid_gres' else 'Batch job submission failed: '}{text}\n")
    return "".join(lines)


async def _test(world: World, caller: Caller, call: Call, draft: Draft, stderr: str) -> Reply:
    try:
        estimate = await world.service.forecast.estimate(caller, draft)
    except Refused as error:
        text = errors.text_of(error.code, error.sentence)
        return Reply(stderr=f"{stderr}allocation failure: {text}\n", exit_code=1)
    when = world.clock(call).stamp(estimate.start_at)
    nodes = hostlist.compress(list(estimate.node_list))
    line = (
        f"sbatch: Job {estimate.job_id} to start at {when} a using {estimate.cpus} processors on nodes {nodes} "
        f"in partition {estimate.partition}\n"
    )
    return Reply(stderr=stderr + line)


# ── --wait ────────────────────────────────────────────────────────────────────────────────────────


def _exit_error(state: Any) -> int:
    value = state.get("exit_error")
    return value if isinstance(value, int) and 0 <= value <= 255 else 1


async def _wait(world: World, caller: Caller, job_id: int, exit_error: int) -> Reply:
    """One long look; the client comes again while the job has not ended."""
    try:
        jobs = await world.service.wait_for_end(caller, Selector(job_id), LONGEST_POLL_SECONDS)
    except NotFound:
        return Reply(exit_code=exit_error)
    if jobs is None:
        return Reply(again_in_seconds=0.0, state={"job_id": job_id, "exit_error": exit_error})
    return Reply(exit_code=exit_code_of(jobs, exit_error))


def exit_code_of(jobs: Sequence[Job], exit_error: int) -> int:
    """sbatch --wait: the script's exit status, for an array the highest; `exit_error` where a signal ended it.

    A job cancelled before it began counts as 0, as in Slurm.
    """
    codes = [0]
    for job in jobs:
        end = job.end
        if end is not None:
            codes.append(end.exit_status or (exit_error if end.signal else 0))
    return max(codes)
