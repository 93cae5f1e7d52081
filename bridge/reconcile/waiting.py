"""Dependencies of waiting jobs: which must be looked at again, and what the answer means for a job. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from adapters.slurm import dependency as slurm_dependency
from bridge.core import dag, indexset
from bridge.core.job import Job, JobKey

Targets = Mapping[tuple[int, int | None], dag.Target | None]
"""(job or array id, task) → how it stands; None: not known."""

Subject = int | tuple[int, str]
"""What is waited for: a job or array id, or (uid, job name) of a singleton."""


class Index:
    """Who waits for whom, so that a start or an end wakes only those it concerns."""

    def __init__(self) -> None:
        self._waiters: dict[Subject, set[JobKey]] = {}
        self._subjects: dict[JobKey, tuple[Subject, ...]] = {}

    def add(self, job: Job) -> None:
        self.discard(job.key)
        if job.request.dependency is None:
            return
        subjects = tuple({_subject(job, clause) for clause in job.request.dependency.clauses})
        self._subjects[job.key] = subjects
        for subject in subjects:
            self._waiters.setdefault(subject, set()).add(job.key)

    def discard(self, key: JobKey) -> None:
        for subject in self._subjects.pop(key, ()):
            self._waiters[subject].discard(key)
            if not self._waiters[subject]:
                del self._waiters[subject]

    def concerned(self, job: Job) -> set[JobKey]:
        """Who may have to be looked at again now that this job changed."""
        by_name = self._waiters.get((job.request.uid, job.request.name), set())
        return (self._waiters.get(job.key.id, set()) | by_name) - {job.key}


def _subject(job: Job, clause: dag.Clause) -> Subject:
    return (job.request.uid, job.request.name) if clause.job_id is None else clause.job_id


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands with what it waits for."""

    answer: dag.Answer
    text: str
    """What is left of the dependency, as Slurm shows it."""
    again_at: float | None = None
    ready_tasks: indexset.IndexSet | None = None
    """aftercorr on an array's record: only these of its waiting tasks may start. None: all."""
    never_tasks: Mapping[int | None, str] = field(default_factory=dict)
    """aftercorr on an array's record: these can never start → what is left of the dependency of each."""


READY = Standing(dag.Answer.READY, "")


def clauses_of(job: Job) -> list[dag.Clause]:
    """The clauses to ask the store about; aftercorr asks for the task of the same index."""
    if job.request.dependency is None:
        return []
    found = []
    for clause in job.request.dependency.clauses:
        if clause.kind is dag.Kind.AFTER_CORR and clause.task is None and clause.whole_array:
            if job.task_index is not None:
                found.append(replace(clause, task=job.task_index))
            elif job.waiting:
                found += [replace(clause, task=index) for index in job.waiting]
        elif clause.kind is not dag.Kind.SINGLETON:
            found.append(clause)
    return found


def judge(job: Job, targets: Targets, singleton_free: bool, now: float) -> Standing:
    dependency = job.request.dependency
    if dependency is None:
        return READY
    corr = [c for c in dependency.clauses if c.kind is dag.Kind.AFTER_CORR and c.whole_array and c.task is None]
    if not corr or job.waiting is None:
        return _judge_one(dependency, job.task_index, targets, singleton_free, now)
    standings = {index: _judge_one(dependency, index, targets, singleton_free, now) for index in job.waiting}
    ready = indexset.of(i for i, s in standings.items() if s.answer is dag.Answer.READY)
    never: dict[int | None, str] = {i: s.text for i, s in standings.items() if s.answer is dag.Answer.NEVER}
    rest = [s for s in standings.values() if s.answer is dag.Answer.WAIT]
    text = rest[0].text if rest else ""
    again = min((s.again_at for s in rest if s.again_at is not None), default=None)
    return Standing(dag.Answer.READY if ready else dag.Answer.WAIT, text, again, ready, never)


def _judge_one(
    dependency: dag.Dependency, task: int | None, targets: Targets, singleton_free: bool, now: float
) -> Standing:
    def look(clause: dag.Clause) -> dag.Target | None:
        if clause.kind is dag.Kind.SINGLETON:
            return dag.Target(started=True, started_at=None, ended=singleton_free, failed=False)
        assert clause.job_id is not None
        if clause.kind is dag.Kind.AFTER_CORR and clause.task is None and clause.whole_array:
            # A task without its twin in the target array waits for nothing, as Slurm has it.
            return targets.get((clause.job_id, task)) or dag.Target(True, None, True, False)
        return targets.get((clause.job_id, clause.task))

    verdict = dag.judge(dependency, look, now)
    return Standing(verdict.answer, slurm_dependency.render(dependency, verdict.states) or "", verdict.again_at)


def all_clauses(jobs: Iterable[Job]) -> list[dag.Clause]:
    return [clause for job in jobs for clause in clauses_of(job)]
