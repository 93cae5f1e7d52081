"""From a draft to the row it becomes: whose it is, whether the site takes it, what it waits for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from bridge.core import accounting_admission, admission, dag, queue
from bridge.core.errors import NotPermitted, Refused
from bridge.core.job import JobKey
from bridge.core.nodes import Node
from bridge.core.reasons import Reason
from bridge.core.request import JobRequest
from bridge.core.users import Caller, User
from bridge.service.accounting import Accounting
from bridge.service.site import SiteState
from bridge.service.terms import Draft
from bridge.store.records import NewJob
from bridge.store.store import Store


class Admission:
    def __init__(
        self,
        store: Store,
        site_state: SiteState,
        accounting: Accounting,
        find_user: Callable[[int], User | None],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._site_state = site_state
        self._accounting = accounting
        self._find_user = find_user
        self._now = now

    async def admit(self, caller: Caller, draft: Draft, nodes: Sequence[Node], members: int) -> NewJob:
        request = draft.request
        user = self._user_of(caller, request)
        most = self._site_state.site.max_script_bytes
        if len(draft.script) > most:
            raise Refused(
                f"the script has {len(draft.script)} bytes, more than the {most} allowed",
                code="path_too_long",
                field="script",
            )
        now = self._now()
        book = await self._accounting.book()
        kept = await self._site_state.reservations()
        admitted = admission.admit(
            request, self._site_state.site, nodes, user, now, is_operator=caller.is_operator, book=book, kept=kept
        )
        if request.dependency is not None:
            dependency = await self.resolve(request.dependency, members, is_held=request.hold)
            request = replace(request, dependency=dependency)
        request = replace(
            request,
            account=admitted.account,
            qos=admitted.qos,
            time_min_seconds=admitted.time_min_seconds,
            left_open=tuple(name for name in ("account", "qos") if getattr(request, name) is None),
            requeue=self._site_state.site.job_requeue if request.requeue is None else request.requeue,
        )
        begins_later = request.begin_at is not None and request.begin_at > now
        if request.hold:
            reason = Reason.HELD_USER
        elif request.dependency is not None:
            reason = Reason.DEPENDENCY
        elif begins_later:
            reason = Reason.BEGIN_TIME
        else:
            reason = admitted.reason
        return NewJob(
            request=request,
            script=draft.script,
            environment=draft.environment,
            report=draft.report,
            partition=admitted.partition,
            time_limit_seconds=admitted.time_limit_seconds,
            submitted_at=now,
            priority=0 if request.hold else accounting_admission.priority(book, self._site_state.site, request),
            reason=reason,
            begin_at=request.begin_at if begins_later else None,
            eligible_at=now if reason is Reason.NONE else None,
            dependency_text=queue.dependency_text(request.dependency),
            idempotency_key=draft.idempotency_key,
        )

    def _user_of(self, caller: Caller, request: JobRequest) -> User:
        """The user that the job runs as. Nobody but root may submit for another."""
        if request.uid == caller.user.uid:
            return caller.user
        if caller.user.uid != 0:
            raise NotPermitted("a job can be submitted for oneself only", code="access_denied", field="uid")
        user = self._find_user(request.uid)
        if user is None:
            raise Refused(f"no user has the uid {request.uid}", code="invalid_user_id", field="uid")
        return user

    async def resolve(
        self, dependency: dag.Dependency, members: int, *, is_held: bool = False
    ) -> dag.Dependency | None:
        """Raw task ids become array and index; arrays are marked; targets that must exist do.

        Clauses that an unknown job satisfies at once (after, afterany, aftercorr) are dropped, as in Slurm, where a
        held job keeps them until its release.
        """
        clauses: list[dag.Clause] = []
        for clause in dependency.clauses:
            if clause.job_id is None or clause.job_id < 0:
                if clause.job_id is not None and -1 - clause.job_id >= members:
                    raise Refused(
                        "a dependency names a member that is not there", code="bad_dependency", field="dependency"
                    )
                clauses.append(clause)
                continue
            target = await self._store.get(JobKey(clause.job_id, clause.task))
            if target is None and clause.task is None:
                target = await self._store.find_by_raw_id(clause.job_id)
            if target is None:
                if clause.kind in (dag.Kind.AFTER_OK, dag.Kind.AFTER_NOT_OK):
                    raise Refused(f"no job {clause.job_id} is known", code="bad_dependency", field="dependency")
                if is_held:
                    clauses.append(clause)
                continue
            is_array = target.is_array
            clauses.append(replace(clause, job_id=target.key.id, task=target.key.task_index, whole_array=is_array))
        return dag.Dependency(tuple(clauses), dependency.any_of) if clauses else None
