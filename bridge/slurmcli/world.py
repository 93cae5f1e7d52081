"""What the commands at the server share: the service, users and groups by name, and the asking user's view."""

import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from adapters.slurm import durations, jobfacts, node_uses, sdiag, sizes
from adapters.slurm.answer import Answer
from adapters.slurm.clusters import Chosen
from adapters.slurm.data import Asked
from adapters.slurm.scontrol_config import Installation
from adapters.slurm.scontrol_show import NodeUse
from adapters.slurm.selectors import Selected
from adapters.slurm.squeue_columns import View
from bridge.core.users import Caller, User
from bridge.identity.people import group_name
from bridge.service.service import Service
from bridge.service.terms import Selector
from bridge.slurmcli.wire import Call, Reply
from bridge.store.records import JobQuery

FindUser = Callable[[int | str], User | None]
MakeToken = Callable[[User, int | None], str | Awaitable[str]]
"""(user, lifespan in seconds; None: the longest) → token"""


@dataclass(frozen=True)
class World:
    service: Service
    find_user: FindUser
    make_token: MakeToken
    now: Callable[[], float] = time.time
    reload: Callable[[], Awaitable[None]] | None = None
    """Reads the site file again; None: there is nothing to read."""
    calls: sdiag.Calls = field(default_factory=lambda: sdiag.Calls(time.time()))
    """What was answered so far."""
    here: Installation = field(default_factory=lambda: Installation(socket.gethostname()))

    def asked(self, caller: Caller, words: Sequence[str]) -> Asked:
        """What --json tells of the question."""
        user = caller.user
        return Asked(tuple(words), user.name, group_name(user.gid), self.service.site.cluster_name)

    async def reconfigure(self) -> None:
        if self.reload is not None:
            await self.reload()

    def under_cluster(self, answer: Answer, chosen: Chosen | None, *, header: bool) -> Answer:
        """With the cluster's name above, where -M named it."""
        if chosen is None:
            return answer
        above = f"CLUSTER: {self.service.site.cluster_name}\n" if header else ""
        return Answer(above + answer.stdout, chosen.warnings + answer.stderr, answer.exit_code)

    def uid_of(self, name: str) -> int | None:
        user = self.find_user(name)
        return None if user is None else user.uid

    def user_name(self, uid: int) -> str:
        user = self.find_user(uid)
        return str(uid) if user is None else user.name

    def clock(self, call: Call) -> durations.Clock:
        return durations.clock_of(call.environ, self.now())

    async def view(self, call: Call, *, convert_units: bool = True, starts: bool = False) -> View:
        """`starts`: with the expected starts of waiting jobs, which take time to work out."""
        site = self.service.site
        return View(
            clock=self.clock(call),
            site=site,
            fleet=sizes.fleet_of(site, await self.service.nodes.known()),
            group_of=group_name,
            bracket_length=jobfacts.bracket_length(call.environ.get("SLURM_BITSTR_LEN")),
            convert_units=convert_units,
            starts=await self.service.forecast.starts() if starts else {},
            book=await self.service.accounting.book(),
        )

    async def node_uses(self, caller: Caller) -> list[NodeUse]:
        oldest = self.now() - self.service.site.min_job_age_seconds
        recent = await self.service.jobs(caller, JobQuery(ended_since=oldest))
        kept = await self.service.runtime.reservations()
        return node_uses.of(await self.service.nodes.views(), recent, kept, self.now())


def selector(selected: Selected) -> Selector:
    return Selector(selected.id, selected.tasks)


def reply(answer: Answer) -> Reply:
    return Reply(answer.stdout, answer.stderr, answer.exit_code)
