"""slurmdb: jobs as they were, and the accounting book."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from adapters.slurm import errors, hostlist, jobfacts, selectors, states
from adapters.slurm.rest import accounts, envelope, history, parsing
from adapters.slurm.rest.accounts import Resources
from adapters.slurm.rest.envelope import Error
from adapters.slurm.rest.history import Look
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import INT32, dump
from adapters.slurm.sacctmgr_fields import ClusterFacts
from bridge.core.accounting import Association, Book
from bridge.core.errors import BridgeError
from bridge.core.job import Job, JobKey, JobState
from bridge.identity.people import group_name
from bridge.service.terms import Selector
from bridge.slurmrest import queries
from bridge.slurmrest.asking import Ask, Handler, Reply, World
from bridge.slurmrest.queries import Query
from bridge.store.records import JobQuery, StepRow

_MANY = 500
"""Jobs whose steps are asked for at once."""


def handlers(world: World) -> Mapping[str, Handler]:
    one = Accounting(world)
    return {
        "slurmdb_get_jobs": one.jobs,
        "slurmdb_get_job": one.job,
        "slurmdb_get_users": one.users,
        "slurmdb_get_user": one.user,
        "slurmdb_get_accounts": one.accounts,
        "slurmdb_get_account": one.account,
        "slurmdb_get_associations": one.associations,
        "slurmdb_get_association": one.association,
        "slurmdb_get_qos": one.qos,
        "slurmdb_get_single_qos": one.single_qos,
        "slurmdb_get_clusters": one.clusters,
        "slurmdb_get_cluster": one.cluster,
        "slurmdb_get_tres": one.tres,
        "slurmdb_get_config": one.config,
        "slurmdb_get_wckeys": one.wckeys,
        "slurmdb_get_wckey": one.wckeys,
        "slurmdb_get_instances": one.instances,
        "slurmdb_get_instance": one.instances,
        "slurmdb_get_ping": one.ping,
    }


class Accounting:
    def __init__(self, world: World) -> None:
        self._world = world
        self._service = world.service

    async def ping(self, ask: Ask) -> Reply:
        began = self._world.now()
        await self._service.store.last_seq()
        latency = int((self._world.now() - began) * 1e6)
        return Reply(
            {"pings": [{"hostname": self._world.host, "responding": True, "latency": latency, "primary": True}]}
        )

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────

    async def jobs(self, ask: Ask) -> Reply:
        query = queries.read(ask, "op_handler_jobs")
        wanted = await self._job_query(query)
        found = await self._service.jobs(ask.caller, wanted)
        if wanted.keys is None:
            until = wanted.active_until or self._world.now()
            found = [job for job in found if jobfacts.has_history(job, until)]
        if query.text("exit_code"):
            parsing.warn_of_type(query.text("exit_code"), INT32, "#/exit_code/", ask.said)
        if query.text("cluster") not in (None, self._cluster):
            found = []
        ids = query.listed("association")
        if ids is not None:
            book = await self._book()
            booked = [(job, book.id_of(job.request.user, job.request.account, job.partition)) for job in found]
            found = [job for job, number in booked if str(number) in ids]
        return await self._shown(ask, [job for job in found if _is_chosen(job, query)], query)

    async def job(self, ask: Ask) -> Reply:
        selected = selectors.parse(ask.parameters["job_id"])
        if selected is None:
            problem = "Rejecting request. Failure parsing query parameters"
            raise Failed(Error(problem, envelope.INVALID_QUERY, "op_handler_job"))
        found = await self._service.jobs(ask.caller, JobQuery(keys=(JobKey(selected.id),)))
        if selected.tasks is not None:
            found = [job for job in found if job.task_index is not None and job.task_index in selected.tasks]
        return await self._shown(ask, found, queries.read(ask, "op_handler_job"))

    async def _job_query(self, query: Query) -> JobQuery:
        now = self._world.now()
        since, until = query.moment("start_time", now), query.moment("end_time", now)
        ids = [selectors.parse(word) for word in query.listed("step") or ()]
        if None in ids:
            problem = "Rejecting request. Failure parsing query parameters"
            raise Failed(Error(problem, envelope.INVALID_QUERY, "op_handler_jobs"))
        return JobQuery(
            keys=tuple(JobKey(one.id) for one in ids if one is not None) if ids else None,
            uids=await self._uids(query),
            names=query.listed("job_name"),
            partitions=query.listed("partition"),
            accounts=query.listed("account"),
            qos=query.listed("qos"),
            nodes=None if query.text("node") is None else tuple(hostlist.expand(query.text("node") or "")),
            active_since=None if since is None else float(since),
            active_until=None if until is None else float(until),
        )

    async def _uids(self, query: Query) -> tuple[int, ...] | None:
        names = query.listed("users")
        if names is None:
            return None
        found = []
        for place, name in enumerate(names):
            user = await self._world.people.find_soon(int(name) if name.isdigit() else name)
            if user is not None:
                found.append(user.uid)
            elif not name.isdigit():
                problem = Error(f"Unable to resolve user: {name}", envelope.NO_SUCH_USER, f"#/users[{place}]/")
                raise queries.NotRead(problem, query.source, query.half)
        return tuple(found)

    async def _shown(self, ask: Ask, found: Sequence[Job], query: Query) -> Reply:
        if not found:
            ask.said.warn("slurmdb_jobs_get() found nothing", "_dump_jobs")
            return Reply({"jobs": []})
        look = Look(await self._world.view(), await self._resources(), self._world.people.name_of)
        return Reply(many=("jobs", self._texts(ask, found, query, look)))

    async def _texts(self, ask: Ask, found: Sequence[Job], query: Query, look: Look) -> AsyncIterator[str]:
        with_scripts = query.is_true("show_batch_script")
        for at in range(0, len(found), _MANY):
            some = found[at : at + _MANY]
            steps: dict[JobKey, list[StepRow]] = {}
            if not query.is_true("skip_steps"):
                for row in await self._service.steps(ask.caller, [job.key for job in some if job.nodes]):
                    steps.setdefault(row.key, []).append(row)
            for job in some:
                script = await self._script(ask, job) if with_scripts else ""
                shown = history.job(job, steps.get(job.key, []), script, look, ask.version)
                if query.is_true("skip_steps"):
                    shown["steps"] = []
                yield dump(history.JOB.plain(shown, ask.version))

    async def _script(self, ask: Ask, job: Job) -> str:
        """Empty for who may not read it, and where it is not kept any more."""
        try:
            script = await self._service.script(ask.caller, Selector(job.key.id))
        except BridgeError:
            return ""
        return script.decode("utf-8", "surrogateescape")

    # ── the accounting book ───────────────────────────────────────────────────────────────────────

    async def users(self, ask: Ask) -> Reply:
        query = queries.read(ask, "op_handler_users")
        book = await self._book()
        level = {word.lower() for word in query.words("admin_level")}
        names = [name for name in sorted(book.users) if not level or book.users[name].admin_level.lower() in level]
        default = query.listed("default_account")
        if default is not None:
            names = [name for name in names if (one := book.default_of(name)) is not None and one.account in default]
        return self._users(ask, book, names, query)

    async def user(self, ask: Ask) -> Reply:
        query = queries.read(ask, "op_handler_user")
        book = await self._book()
        name = ask.parameters["name"].lower()
        return self._users(ask, book, [name] if name in book.users else [], query)

    def _users(self, ask: Ask, book: Book, names: Sequence[str], query: Query) -> Reply:
        found = [
            accounts.user(
                book,
                name,
                self._cluster,
                associations=query.is_true("with_assocs"),
                coordinators=query.is_true("with_coords"),
            )
            for name in names
        ]
        return _listed(ask, "users", found, "slurmdb_users_get()", "_dump_users")

    async def accounts(self, ask: Ask) -> Reply:
        query = queries.read(ask, "op_handler_accounts")
        book = await self._book()
        described = query.listed("description")
        names = [
            name for name in sorted(book.accounts) if described is None or book.accounts[name].description in described
        ]
        return self._accounts(ask, book, names, query, "WithAssociations", "WithCoordinators")

    async def account(self, ask: Ask) -> Reply:
        query = queries.read(ask, "op_handler_account")
        book = await self._book()
        name = ask.parameters["account_name"].lower()
        return self._accounts(ask, book, [name] if name in book.accounts else [], query, "with_assocs", "with_coords")

    def _accounts(
        self, ask: Ask, book: Book, names: Sequence[str], query: Query, associations: str, coordinators: str
    ) -> Reply:
        found = [
            accounts.account(
                book,
                book.accounts[name],
                self._cluster,
                associations=query.is_true(associations),
                coordinators=query.is_true(coordinators),
            )
            for name in names
        ]
        return _listed(ask, "accounts", found, "slurmdb_accounts_get()", "_dump_accounts")

    async def associations(self, ask: Ask) -> Reply:
        found = await self._associations(ask, "op_handler_associations")
        return _listed(ask, "associations", found, "slurmdb_associations_get()", "_dump_assoc_cond")

    async def association(self, ask: Ask) -> Reply:
        found = await self._associations(ask, "op_handler_association")
        if len(found) > 1:
            ask.said.error(
                "Ambiguous request: More than 1 association would have been dumped.",
                envelope.AMBIGUOUS,
                "_dump_assoc_cond",
            )
            return Reply({"associations": []})
        return _listed(ask, "associations", found, "slurmdb_associations_get()", "_dump_assoc_cond")

    async def _associations(self, ask: Ask, source: str) -> list[dict[str, Any]]:
        book = await self._book()
        resources = await self._resources()
        chosen = self.chosen_associations(ask, book, source)
        return [accounts.association(book, one, self._cluster, resources) for one in chosen]

    def chosen_associations(self, ask: Ask, book: Book, source: str) -> list[Association]:
        query = queries.read(ask, source)
        return [one for _, one in book.tree() if self._is_wanted(book, one, query)]

    def _is_wanted(self, book: Book, one: Association, query: Query) -> bool:
        values = {
            "account": one.account,
            "cluster": self._cluster,
            "id": str(one.id),
            "parent_account": one.parent,
            "partition": one.partition,
            "user": one.user,
            "default_qos": one.default_qos or "",
        }
        for name, value in values.items():
            wanted = query.listed(name)
            if wanted is not None and value not in wanted:
                return False
        wanted_qos = query.listed("qos")
        if wanted_qos is not None and not set(wanted_qos) & set(book.granted_qos(one)):
            return False
        only_defaults = query.is_true("Filter to only defaults") or query.is_true("only_defaults")
        return not only_defaults or one.is_default

    async def qos(self, ask: Ask) -> Reply:
        query = queries.read(ask, "op_handler_qos")
        book, resources = await self._book(), await self._resources()
        ids, described, names = query.listed("id"), query.listed("description"), query.listed("name")
        found = [
            accounts.qos(one, resources)
            for one in sorted(book.qos.values(), key=lambda one: one.id)
            if (ids is None or str(one.id) in ids)
            and (described is None or one.description in described)
            and (names is None or one.name in names)
        ]
        return _listed(ask, "qos", found, "slurmdb_qos_get()", "_op_handler_qos")

    async def single_qos(self, ask: Ask) -> Reply:
        queries.read(ask, "op_handler_single_qos")
        book, resources = await self._book(), await self._resources()
        one = book.qos.get(ask.parameters["qos"].lower())
        found = [accounts.qos(one, resources)] if one is not None else []
        return _listed(ask, "qos", found, "slurmdb_qos_get()", "_op_handler_qos")

    async def clusters(self, ask: Ask) -> Reply:
        queries.read(ask, "op_handler_clusters")
        return _listed(ask, "clusters", [await self._own_cluster()], "slurmdb_clusters_get()", "_dump_clusters")

    async def cluster(self, ask: Ask) -> Reply:
        queries.read(ask, "op_handler_cluster")
        found = [await self._own_cluster()] if ask.parameters["cluster_name"] == self._cluster else []
        return _listed(ask, "clusters", found, "slurmdb_clusters_get()", "_dump_clusters")

    async def tres(self, ask: Ask) -> Reply:
        queries.read(ask, "op_handler_tres")
        return Reply({"TRES": (await self._resources()).every()})

    async def config(self, ask: Ask) -> Reply:
        queries.read(ask, "op_handler_config")
        book, resources = await self._book(), await self._resources()
        return Reply(
            {
                "clusters": [await self._own_cluster()],
                "tres": resources.every(),
                "accounts": [
                    accounts.account(book, one, self._cluster, associations=True, coordinators=True)
                    for _, one in sorted(book.accounts.items())
                ],
                "users": [
                    accounts.user(book, name, self._cluster, associations=True, coordinators=True)
                    for name in sorted(book.users)
                ],
                "qos": [accounts.qos(one, resources) for one in sorted(book.qos.values(), key=lambda one: one.id)],
                "wckeys": [],
                "associations": [accounts.association(book, one, self._cluster, resources) for _, one in book.tree()],
                "instances": [],
            }
        )

    async def wckeys(self, ask: Ask) -> Reply:
        """Jobs keep theirs, but nobody keeps a list of them."""
        queries.read(ask, "op_handler_wckeys")
        if not ask.caller.is_operator:
            raise Failed(Error("slurmdb_wckeys_get failed", errors.number_of("access_denied"), "_dump_wckeys"))
        return _listed(ask, "wckeys", [], "slurmdb_wckeys_get()", "_dump_wckeys")

    async def instances(self, ask: Ask) -> Reply:
        """Of a cloud; there are none."""
        queries.read(ask, "op_handler_instances")
        ask.said.warn("slurmdb_instances_get() found nothing", "_dump_instance_cond")
        return Reply({"instances": []})

    @property
    def _cluster(self) -> str:
        return self._service.site.cluster_name

    async def _book(self) -> Book:
        return await self._service.accounting.book()

    async def _resources(self) -> Resources:
        return Resources((await self.facts()).tres)

    async def _own_cluster(self) -> dict[str, Any]:
        facts = await self.facts()
        return accounts.cluster(await self._book(), facts, Resources(facts.tres))

    async def facts(self) -> ClusterFacts:
        nodes = await self._service.nodes.known()
        cpus = sum(node.cpus for node in nodes)
        amounts = {"cpu": cpus, "mem": sum(node.memory_mib for node in nodes), "node": len(nodes), "billing": cpus}
        for node in nodes:
            for name, _, count in node.gres:
                amounts[f"gres/{name}"] = amounts.get(f"gres/{name}", 0) + count
        return ClusterFacts(
            name=self._cluster,
            host=self._world.host,
            port=0,
            tres=tuple(amounts.items()),
            node_count=len(nodes),
            node_list=hostlist.compress([node.name for node in nodes]),
        )


def _listed(ask: Ask, name: str, found: list[dict[str, Any]], getter: str, source: str) -> Reply:
    """An empty list is told as slurmrestd tells it: with a warning."""
    if not found:
        ask.said.warn(f"{getter} found nothing", source)
    return Reply({name: found})


def _is_chosen(job: Job, query: Query) -> bool:
    """Filters that the store does not know."""
    request = job.request
    for name, values in (
        ("reservation", {request.reservation or ""}),
        ("wckey", {request.wckey or ""}),
        ("groups", {str(request.gid), group_name(request.gid)}),
        ("constraints", {request.component.constraint or ""}),
    ):
        wanted = query.listed(name)
        if wanted is not None and not values & set(wanted):
            return False
    words = query.words("state")
    return query.found.get("state") is None or any(_is_in_state(job, word) for word in words)


def _is_in_state(job: Job, word: str) -> bool:
    return job.state in (states.matching(word) or frozenset[JobState]())
