"""Whether jobs would come to wait for themselves, seen record by record: of an array a task can be in a circle while
its neighbours are in none. Tasks that still wait together have one record, and are one here."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from bridge.core import dag
from bridge.core.job import Job, JobKey


def find(
    waiters: Collection[JobKey], dependency: dag.Dependency, unfinished: Iterable[Job]
) -> Mapping[JobKey, tuple[JobKey, ...]]:
    """Those of the waiters that would wait for themselves if all of them were given the dependency, each with the
    way from itself back to itself. The dependency's targets are resolved: no raw ids of tasks."""
    old = {job.key: job.request.dependency for job in unfinished}
    new = dict.fromkeys(waiters)
    records: defaultdict[int, list[JobKey]] = defaultdict(list)
    for key in old | new:
        records[key.id].append(key)

    def targets(wanted: dag.Dependency | None) -> list[JobKey]:
        found: list[JobKey] = []
        for clause in () if wanted is None else wanted.clauses:
            if clause.job_id is None:
                continue
            task = JobKey(clause.job_id, clause.task)
            own = task in old or task in new
            found += [task if own else JobKey(clause.job_id)] if clause.task is not None else records[clause.job_id]
        return found

    from_where: dict[JobKey, JobKey | None] = dict.fromkeys(targets(dependency))
    todo = list(from_where)
    while todo:
        key = todo.pop(0)
        # What another waiter is given leads to the same targets, which are reached already.
        for target in [] if key in new else targets(old.get(key)):
            if target not in from_where:
                from_where[target] = key
                todo.append(target)
    return {key: _way(key, from_where) for key in waiters if key in from_where}


def _way(waiter: JobKey, from_where: Mapping[JobKey, JobKey | None]) -> tuple[JobKey, ...]:
    way = [waiter]
    before = from_where[waiter]
    while before is not None:
        way.append(before)
        before = from_where[before]
    return (waiter, *reversed(way))
