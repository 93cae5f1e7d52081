"""Jobs: submit, look, change, cancel."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from adapters.slurm import errors, selectors, values
from adapters.slurm.rest import changes, envelope, jobs, kills, parsing, submission
from adapters.slurm.rest.envelope import Error
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.taking import SUBMISSION_FAILED, SUBMIT_SOURCE
from adapters.slurm.selectors import Selected
from adapters.slurm.squeue_columns import View
from bridge.backends.port import Target
from bridge.core.errors import BridgeError, NotFound, NotPermitted, Refused
from bridge.core.job import Job, JobKey
from bridge.core.reasons import Reason
from bridge.core.report import Report
from bridge.core.users import Caller
from bridge.service.terms import Draft, Result, Selector
from bridge.slurmrest import queries
from bridge.slurmrest.asking import Ask, Handler, Reply, World
from bridge.store.records import JobQuery

MOST_JOB_ID = 0x03FFFFFF
"""Slurm's ids are smaller; slurmrestd refuses such a number itself."""
FEW = 20
"""So many jobs are sent at once; more of them piece by piece."""
_HANDLER = "op_handler_job"


def handlers(world: World) -> Mapping[str, Handler]:
    one = Jobs(world)
    return {
        "slurm_get_jobs": one.get_jobs,
        "slurm_get_jobs_state": one.get_states,
        "slurm_post_job_submit": one.submit,
        "slurm_get_job": one.get_job,
        "slurm_post_job": one.change,
        "slurm_delete_job": one.delete,
        "slurm_delete_jobs": one.delete_many,
        "slurm_post_job_allocate": one.allocate,
    }


class Jobs:
    def __init__(self, world: World) -> None:
        self._world = world
        self._service = world.service

    # ── submission ────────────────────────────────────────────────────────────────────────────────

    async def submit(self, ask: Ask) -> Reply:
        world = self._world
        asker = submission.Asker(
            ask.caller.user, ask.caller.is_operator, self._service.site, world.now(), world.people.find
        )
        read = submission.read(parsing.load(ask.body), ask.version, asker, ask.said)
        draft = Draft(read.request, read.script, read.environment, read.report)
        try:
            job = (await self._service.submit(ask.caller, [draft]))[0]
        except Refused as error:
            raise Failed(envelope.of_bridge(SUBMISSION_FAILED, error, SUBMIT_SOURCE)) from error
        number = _hindrance(job)
        if number:
            text = envelope.text_of(number)
            ask.said.warn(f"Job submission resulted in non-zero return code: {text}", SUBMIT_SOURCE)
            ask.said.warn(text, SUBMIT_SOURCE)
        told = _told(read.report)
        fields = {"job_id": job.id, "step_id": "batch", "job_submit_user_msg": told}
        result = {**fields, "error_code": number, "error": envelope.text_of(number)}
        return Reply({**fields, "result": result})

    # ── looking ───────────────────────────────────────────────────────────────────────────────────

    async def get_jobs(self, ask: Ask) -> Reply:
        last = await self._world.changes.last()
        query = queries.read(ask, "op_handler_jobs")
        since = query.moment("update_time", self._world.now())
        if since is not None and since >= last:
            stamp = queries.stamp(since)
            ask.said.warn(f"No job changes since update_time[{since}]={stamp}", "op_handler_jobs")
            return Reply({"jobs": [], "last_backfill": 0, "last_update": 0})
        found = await self._service.jobs(ask.caller, JobQuery(ended_since=self._forgotten_before()))
        view = await self._world.view(found)
        return Reply({"last_backfill": last, "last_update": last}, many=("jobs", _texts(found, view, ask.version)))

    async def get_job(self, ask: Ask) -> Reply:
        word = ask.parameters["job_id"]
        selected = _selected(word)
        if selected.tasks is not None:
            ask.said.warn(
                "Job array Ids are not currently supported for job searches. Showing all jobs in array instead.",
                "_handle_job_get",
            )
        queries.read(ask, _HANDLER)
        found = await self._known(ask, Selector(selected.id))
        if not found:
            ask.said.error(f"Unable to query JobId={word}", envelope.INVALID_JOB_ID, "_handle_job_get")
            return Reply(ask.path.empty)
        view = await self._world.view(found)
        last = await self._world.changes.last()
        fields = {"last_backfill": last, "last_update": last}
        if len(found) > FEW:
            return Reply(fields, many=("jobs", _texts(found, view, ask.version)))
        return Reply(fields, few=("jobs", [_text(job, view, ask.version) for job in found]))

    async def get_states(self, ask: Ask) -> Reply:
        query = queries.read(ask, "op_handler_job_states")
        words = query.text("job_id")
        if words is None:
            found = await self._service.jobs(ask.caller, JobQuery(ended_since=self._forgotten_before()))
        else:
            found = []
            for word in words.split(","):
                selected = selectors.parse(word)
                if selected is None:
                    problem = "Rejecting request. Failure parsing query"
                    raise Failed(Error(problem, envelope.INVALID_QUERY, "op_handler_job_states"))
                found += await self._known(ask, Selector(selected.id))
        return Reply({"jobs": [one for job in found for one in jobs.listed_states(job)]})

    async def _known(self, ask: Ask, selector: Selector) -> list[Job]:
        """Some minutes after its end slurmctld has forgotten a job."""
        try:
            found = await self._service.show(ask.caller, selector)
        except NotFound:
            return []
        oldest = self._forgotten_before()
        return [job for job in found if job.ended_at is None or job.ended_at >= oldest]

    def _forgotten_before(self) -> float:
        return self._world.now() - self._service.site.min_job_age_seconds

    # ── ending ────────────────────────────────────────────────────────────────────────────────────

    async def delete(self, ask: Ask) -> Reply:
        word = ask.parameters["job_id"]
        selected = _selected(word)
        query = queries.read(ask, "_handle_job_delete")
        flags = query.words("flags")
        signal = query.text("signal")
        number = 9
        if signal is not None:
            try:
                number = values.signal_number(signal)
            except values.BadValue:
                # slurmrestd says this, and then cancels the job all the same; here nothing is done.
                ask.said.error("Unknown signal (null)", envelope.SUCCESS, "#/signal/")
                return Reply({"status": []})
        failed = await self.kill(ask, word, selected, None if number == 9 else number, flags)
        return Reply({"status": failed})

    async def delete_many(self, ask: Ask) -> Reply:
        body = parsing.load(ask.body)
        try:
            wanted = kills.read({} if body is None else body, ask.version, ask.said)
        except Failed as failed:
            if failed.error is not None:
                ask.said.errors.append(failed.error)
            return Reply(ask.path.empty)
        if not wanted.has_filter and wanted.jobs is None:
            ask.said.error("Signal request failed", kills.NOTHING_NAMED, "slurm_kill_jobs()", kills.NOTHING_TEXT)
            return Reply(ask.path.empty)
        if wanted.jobs is not None and any(one is None for _, one in wanted.jobs):
            ask.said.error("Signal request failed", kills.ZERO_ID, "slurm_kill_jobs()", kills.ZERO_TEXT)
            return Reply(ask.path.empty)
        if wanted.is_bad_signal:
            return Reply(ask.path.empty)
        failed_ones: list[dict[str, Any]] = []
        try:
            meant = await self._meant(ask, wanted)
        except Failed as failed:
            if failed.error is not None:
                ask.said.errors.append(failed.error)
            return Reply(ask.path.empty)
        for word, selected in meant:
            failed_ones += await self.kill(ask, word, selected, wanted.signal, wanted.flags)
        return Reply({"status": failed_ones})

    async def _meant(self, ask: Ask, wanted: kills.Wanted) -> list[tuple[str, Selected]]:
        named = [(word, one) for word, one in wanted.jobs or () if one is not None]
        if not wanted.has_filter:
            return named
        users = [await self._world.people.find_soon(name) for name in wanted.users or ()]
        for name, user in zip(wanted.users or (), users, strict=True):
            if user is None:
                problem = f"Unable to resolve {name} to numeric user id"
                raise Failed(Error(problem, -1, "uid_from_string()", "Unspecified error"))
        uids = None if wanted.users is None else tuple(user.uid for user in users if user is not None)
        query = JobQuery(
            keys=tuple(JobKey(one.id) for _, one in named) if wanted.jobs is not None else None,
            uids=uids,
            names=wanted.names,
            partitions=wanted.partitions,
            accounts=wanted.accounts,
            qos=wanted.qos,
            nodes=wanted.nodes,
            ended_since=self._world.now(),
        )
        found = [job for job in await self._service.jobs(ask.caller, query) if kills.matches(wanted, job)]
        words = [job.display_id for job in found]
        return [(word, one) for word in words if (one := selectors.parse(word)) is not None]

    async def allocate(self, ask: Ask) -> Reply:
        """An allocation without a script would belong to a shell that the bridge has nothing of."""
        body = parsing.load(ask.body)
        parsing.an_object({} if body is None else body, "#/")
        sentence = "allocations without a script cannot be made here; submit a script to job/submit"
        raise Failed(Error("Job allocation request failed", -1, "slurm_allocate_resources()", sentence))

    async def kill(
        self, ask: Ask, word: str, selected: Selected, number: int | None, flags: Sequence[str]
    ) -> list[dict[str, Any]]:
        """What could not be reached. `number` None: the job is cancelled."""
        selector = Selector(selected.id, selected.tasks)
        if number is None:
            results = await self._service.cancel(ask.caller, [selector])
        else:
            to: Target = "batch" if "BATCH_JOB" in flags else "all" if "FULL_JOB" in flags else "steps"
            results = await self._service.signal(ask.caller, [selector], number, to)
        failed = []
        for code, sentence, is_known in _failures(results):
            text = errors.text_of(code, sentence)
            failed.append(jobs.failed_kill(word, selected.id if is_known else None, errors.number_of(code), text))
        return failed

    # ── changing ──────────────────────────────────────────────────────────────────────────────────

    async def change(self, ask: Ask) -> Reply:
        word = ask.parameters["job_id"]
        selected = _selected(word)
        if selected.tasks is not None:
            ask.said.error(
                "Rejecting request. Submit job update against Array Job's JobID instead of array task id.",
                envelope.INVALID_QUERY,
                "_job_post_update",
            )
            return Reply(ask.path.empty)
        body = parsing.load(ask.body)
        world = self._world
        asker = submission.Asker(
            ask.caller.user, ask.caller.is_operator, self._service.site, world.now(), world.people.find
        )
        try:
            wanted = changes.read(body, ask.version, asker, ask.said)
        except Failed as failed:
            if failed.error is not None:
                ask.said.errors.append(failed.error)
            problem = "Rejecting request. Failure parsing job update request."
            ask.said.error(problem, envelope.INVALID_QUERY, "_job_post_update")
            return Reply(ask.path.empty, 500)
        except Refused as error:
            ask.said.errors.append(envelope.of_bridge(changes.FAILED, error, changes.SOURCE))
            return Reply(ask.path.empty)
        number, text = await self._changed(ask, Selector(selected.id), wanted)
        if number:
            ask.said.error(changes.FAILED, number, changes.SOURCE, text)
        return Reply(ask.path.empty)

    async def _changed(self, ask: Ask, selector: Selector, wanted: changes.Wanted) -> tuple[int, str]:
        """(Slurm's number of what kept it from happening, its text); 0: it happened."""
        service, caller = self._service, ask.caller
        found = await self._known(ask, selector)
        if not found:
            return envelope.INVALID_JOB_ID, ""
        if wanted.user_id_given:
            return errors.number_of("disabled"), ""
        if wanted.priority and wanted.hold is not False and all(job.priority == 0 for job in found):
            return envelope.JOB_HELD, ""
        try:
            results: list[Result] = []
            change = changes.for_job(wanted, found[0])
            if not change.is_empty():
                results += await service.update(caller, [selector], change)
            if wanted.hold is not None and not _failures(results):
                do = service.hold if wanted.hold else service.release
                results += await do(caller, [selector])
        except Refused as error:
            return errors.number_of(error.code), errors.text_of(error.code, error.sentence)
        if any(_is_anothers(result, caller) for result in results):
            return errors.number_of("invalid_user_id"), ""
        for code, sentence, _ in _failures(results):
            return errors.number_of(code), errors.text_of(code, sentence)
        return 0, ""


def _is_anothers(result: Result, caller: Caller) -> bool:
    job = result.job
    return isinstance(result.error, NotPermitted) and job is not None and job.request.uid != caller.user.uid


def _hindrance(job: Job) -> int:
    """Taken, but told that it will not start as things are."""
    if job.request.hold:
        return envelope.JOB_HELD
    return envelope.PARTITION_LACKS if job.reason in _LACKING else 0


_LACKING = frozenset({Reason.PARTITION_CONFIG, Reason.PARTITION_NODE_LIMIT})


def _told(report: Report) -> str:
    """What the submitter should know: the loss of what changes results."""
    return "\n".join(f"{entry.text}: {entry.sentence}" for entry in report.entries if entry.changes_results)


def _selected(word: str) -> Selected:
    selected = selectors.parse(word)
    if selected is None or selected.step is not None:
        problem = "Rejecting request. Failure parsing parameters"
        raise Failed(Error(problem, envelope.INVALID_QUERY, _HANDLER))
    if selected.id >= MOST_JOB_ID:
        raise Failed(Error(f"Invalid JobID={word} rejected", envelope.INVALID_JOB_ID, _HANDLER))
    return selected


async def _texts(found: Sequence[Job], view: View, version: int) -> AsyncIterator[str]:
    for job in found:
        yield _text(job, view, version)


def _text(job: Job, view: View, version: int) -> str:
    return jobs.text(job, view, version, with_null=False)


def _failures(results: Sequence[Result]) -> list[tuple[str, str, bool]]:
    """(code, sentence, whether there is such a job), each kind once. What is over does not count beside what is not."""
    reached = any(result.error is None for result in results)
    kinds: dict[str, tuple[str, str, bool]] = {}
    for result in results:
        error: BridgeError | None = result.error
        if error is None or (reached and error.code in ("already_done", "already_finished")):
            continue
        kinds.setdefault(error.code, (error.code, error.sentence, result.job is not None))
    return list(kinds.values())
