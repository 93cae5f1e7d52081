"""sbcast at the server: says what may be copied where; the client copies, as the user.

Nodes of the local backend are this machine, so one copy is on all of them.
"""

import os.path

from adapters.slurm import errors, jobfacts, sbcast
from adapters.slurm.answer import Answer
from bridge.core.errors import NotFound
from bridge.core.job import ON_NODES, WAITING
from bridge.core.users import Caller
from bridge.slurmcli.wire import Call, Copy, Reply
from bridge.slurmcli.world import World, reply, selector


async def run(world: World, caller: Caller, call: Call) -> Reply:
    order = sbcast.read(call.argv, call.environ)
    if isinstance(order, Answer):
        return reply(order)
    try:
        if order.job is None:
            raise NotFound("no id", code="invalid_job_id")
        job = (await world.service.show(caller, selector(order.job)))[0]
    except NotFound as error:
        number = order.job.id if order.job is not None else 0
        text = errors.text_of(error.code, error.sentence)
        return Reply(stderr=f"sbcast: error: Failed to load JobId={number}: '{text}'\n", exit_code=1)
    code = _refusal(caller, job.request.uid, waiting=job.state in WAITING, on_nodes=job.state in ON_NODES)
    if code is not None:
        text = errors.text_of(code, code)
        return Reply(stderr=f"sbcast: error: Slurm job {order.job_text} lookup error: {text}\n", exit_code=255)
    hosts = {node.name: node.host for node in await world.service.nodes.known()}
    first = job.nodes[0].node
    host = hosts.get(first)
    if host is None or any(hosts.get(share.node) is None for share in job.nodes):
        said = f"sbcast: error: files cannot be copied to the nodes of job {jobfacts.display_id(job)}\n"
        return Reply(stderr=said, exit_code=1)
    target = os.path.join(job.request.working_directory, order.target)
    return Reply(copy=Copy(order.source, target, host.name, first, order.force, order.preserve))


def _refusal(caller: Caller, uid: int, *, waiting: bool, on_nodes: bool) -> str | None:
    if caller.user.uid not in (0, uid):
        return "access_denied"
    if waiting:
        return "job_pending"
    return None if on_nodes else "already_done"
