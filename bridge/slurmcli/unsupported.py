"""sattach, scrontab, sshare and strigger at the server: refused, each in a sentence."""

from collections.abc import Awaitable, Callable

from adapters.slurm import unsupported
from bridge.core.users import Caller
from bridge.slurmcli.wire import Call, Reply
from bridge.slurmcli.world import World, reply

COMMANDS = unsupported.COMMANDS


def make(name: str) -> Callable[[World, Caller, Call], Awaitable[Reply]]:
    async def run(world: World, caller: Caller, call: Call) -> Reply:
        return reply(unsupported.answer(name, call.argv))

    return run
