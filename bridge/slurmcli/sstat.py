"""sstat at the server: the running steps of each job, and what their tasks use now, asked of the agents."""

from adapters.slurm import errors, jobfacts, sstat, steps_data
from adapters.slurm.answer import Answer
from adapters.slurm.selectors import Selected
from bridge.backends.port import TaskUsage
from bridge.core.errors import BridgeError, NotFound
from bridge.core.job import Job
from bridge.core.users import Caller
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply, selector


async def run(world: World, caller: Caller, call: Call) -> Reply:
    query = sstat.read(call.argv)
    if isinstance(query, Answer):
        return reply(query)
    rows: list[sstat.Row] = []
    said: list[str] = []
    for word, selected in query.jobs:
        try:
            jobs = await world.service.show(caller, selector(selected))
        except NotFound:
            said.append(f"sstat: error: couldn't get steps for JobId={word.partition('.')[0]}\n")
            continue
        for job in jobs:
            found, errors_of_job = await _rows(world, caller, call, query, selected, job)
            rows += found
            said += errors_of_job
    return reply(sstat.render(query, rows, "".join(said)))


async def _rows(
    world: World, caller: Caller, call: Call, query: sstat.Query, selected: Selected, job: Job
) -> tuple[list[sstat.Row], list[str]]:
    shown = jobfacts.display_id(job)
    steps = steps_data.running([job], await world.service.steps(caller, [job.key]), await world.view(call))
    wanted = sstat.chosen(query, selected, steps)
    if not wanted:
        if selected.step is not None:
            return [], [f"sstat: error: StepId={shown}.{selected.step} not found running.\n"]
        return [], [] if steps else [f"sstat: error: No steps running for job {shown}\n"]
    try:
        usages = await world.service.measure(caller, job)
    except BridgeError as error:
        text = errors.text_of(error.code, error.sentence)
        return [], [f"sstat: error: problem getting step_layout for StepId={shown}.{wanted[0].name}: {text}\n"]
    return [
        sstat.Row(
            f"{shown}.{step.name}", step, tuple((_node(job, one), one) for one in usages if one.step == step.name)
        )
        for step in wanted
    ], []


def _node(job: Job, usage: TaskUsage) -> str:
    return job.nodes[usage.node].node if usage.node < len(job.nodes) else ""
