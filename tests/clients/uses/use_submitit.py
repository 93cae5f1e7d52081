"""submitit: functions, arrays, maps, failures, checkpoints with requeue, cancellation, several tasks."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import ordinary
import submitit
from submitit.core import utils


def executor(folder: Path, **parameters: Any) -> submitit.AutoExecutor:
    made = submitit.AutoExecutor(folder=folder / "log_%j")
    assert made.cluster == "slurm"
    made.update_parameters(timeout_min=5, mem_gb=0.4, **parameters)
    return made


def add(a: int, b: int) -> int:
    print(f"adding {a} and {b}")
    return a + b


def environment(name: str) -> str | None:
    return os.environ.get(name)


def fail() -> None:
    raise ValueError("meant to fail")


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def where() -> tuple[int, int, int, int, int, list[str]]:
    found = submitit.JobEnvironment()
    return (
        found.global_rank,
        found.local_rank,
        found.node,
        found.num_tasks,
        found.num_nodes,
        list(found.hostnames),
    )


class Training:
    """Counts its starts in a file; goes on from its checkpoint. The first start waits for the signal."""

    def __init__(self, starts: Path, steps: int = 0) -> None:
        self.starts, self.steps = starts, steps

    def __call__(self) -> int:
        with self.starts.open("a") as file:
            file.write(f"{os.environ.get('SLURM_RESTART_COUNT', 'none')}\n")
        if self.steps == 0:
            self.steps = 7
            time.sleep(100)
        return self.steps

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        return submitit.helpers.DelayedSubmission(Training(self.starts, self.steps))


def state_of(job: submitit.Job[Any]) -> str:
    """Asked for, not from the watcher's memory."""
    return str(job.get_info(mode="force").get("State"))


def wait_for_state(job: submitit.Job[Any], state: str) -> None:
    ordinary.until(lambda: state_of(job).startswith(state), lambda: f"{state_of(job)}, not {state}")


def hurry(job: submitit.Job[Any]) -> None:
    """A requeued job would wait for two minutes."""

    def shown() -> str:
        return subprocess.check_output(["scontrol", "show", "job", job.job_id], text=True)

    ordinary.until(lambda: "Restarts=1" in shown(), shown, 120)
    subprocess.check_call(["scontrol", "update", f"JobId={job.job_id}", "StartTime=now"])


def a_function(folder: Path) -> None:
    job = executor(folder, slurm_partition="main").submit(add, 5, 7)
    assert job.result() == 12
    assert job.done()
    wait_for_state(job, "COMPLETED")  # the result is there a little before
    assert "adding 5 and 7" in (job.stdout() or "")
    assert job.exception() is None


def a_function_without_srun(folder: Path) -> None:
    job = executor(folder, slurm_use_srun=False, slurm_setup=["export LEFT=1"]).submit(environment, "LEFT")
    assert job.result() == "1"


def a_command(folder: Path) -> None:
    job = executor(folder).submit(submitit.helpers.CommandFunction(["echo", "hello"]))
    assert job.result().strip() == "hello"


def an_array(folder: Path) -> None:
    jobs = executor(folder, slurm_array_parallelism=2).map_array(add, [1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert [job.result() for job in jobs] == [11, 22, 33, 44, 55]
    assert len({job.job_id.split("_")[0] for job in jobs}) == 1
    assert [job.job_id.split("_")[1] for job in jobs] == ["0", "1", "2", "3", "4"]


def a_batch(folder: Path) -> None:
    made = executor(folder, name="many words here")
    with made.batch():
        jobs = [made.submit(add, n, n) for n in range(3)]
    assert [job.result() for job in submitit.helpers.as_completed(jobs, poll_frequency=0.5)] != []
    assert sorted(job.result() for job in jobs) == [0, 2, 4]


def a_state_before_the_start(folder: Path) -> None:
    jobs = executor(folder, slurm_additional_parameters={"begin": "now+1hour"}).map_array(sleep, [1.0, 1.0, 1.0])
    assert [job.state for job in jobs] == ["PENDING"] * 3
    jobs[0].cancel()
    jobs[0].wait()
    assert jobs[0].state.startswith("CANCELLED"), jobs[0].state
    assert [state_of(job) for job in jobs[1:]] == ["PENDING"] * 2
    for job in jobs[1:]:
        job.cancel()


def a_failure(folder: Path) -> None:
    job = executor(folder).submit(fail)
    error = job.exception()
    assert isinstance(error, utils.FailedJobError) and "meant to fail" in str(error), error
    wait_for_state(job, "FAILED")
    assert job.done()


def a_chain(folder: Path) -> None:
    first = executor(folder).submit(sleep, 1)
    after = executor(folder, slurm_additional_parameters={"dependency": f"afterok:{first.job_id}"})
    assert after.submit(add, 1, 1).result() == 2
    assert first.result() == "slept"


def a_cancellation(folder: Path) -> None:
    job = executor(folder).submit(sleep, 300)
    wait_for_state(job, "RUNNING")
    job.cancel()
    wait_for_state(job, "CANCELLED")
    assert job.done(force_check=True)


def cancelled_with_its_handle(folder: Path) -> None:
    job = executor(folder).submit(sleep, 300)
    job.cancel_at_deletion()
    job_id = job.job_id
    del job
    again = submitit.SlurmJob(folder=folder / "log_%j", job_id=job_id)
    wait_for_state(again, "CANCELLED")


def a_checkpoint_when_preempted(folder: Path) -> None:
    starts = folder / "starts"
    job = executor(folder, slurm_signal_delay_s=30).submit(Training(starts))
    ordinary.until(starts.exists)
    job._interrupt()
    hurry(job)
    assert job.result() == 7
    assert starts.read_text() == "none\n1\n"


def a_checkpoint_at_the_time_limit(folder: Path) -> None:
    """The warning comes by `--signal=USR2@DELAY`."""
    starts = folder / "starts"
    made = executor(folder, slurm_signal_delay_s=54)
    made.update_parameters(timeout_min=1)
    job = made.submit(Training(starts))
    hurry(job)
    assert job.result() == 7
    assert starts.read_text() == "none\n1\n"
    assert "Caught signal SIGUSR2" in (job.stderr() or ""), job.stderr()


def a_checkpoint_of_an_array_task(folder: Path) -> None:
    made = executor(folder, slurm_signal_delay_s=54)
    made.update_parameters(timeout_min=1)
    with made.batch():
        jobs = [made.submit(Training(folder / "starts")), made.submit(add, 1, 1)]
    hurry(jobs[0])
    assert [job.result() for job in jobs] == [7, 2]
    assert (folder / "starts").read_text() == "none\n1\n"


def tasks_on_two_nodes(folder: Path) -> None:
    job = executor(folder, nodes=2, tasks_per_node=2).submit(where)
    found = sorted(job.results())
    assert [row[:5] for row in found] == [(0, 0, 0, 4, 2), (1, 1, 0, 4, 2), (2, 0, 1, 4, 2), (3, 1, 1, 4, 2)], found
    assert all(len(set(row[5])) == 2 for row in found), found


if __name__ == "__main__":
    ordinary.run(
        a_function,
        a_function_without_srun,
        a_command,
        an_array,
        a_batch,
        a_state_before_the_start,
        a_failure,
        a_chain,
        a_cancellation,
        cancelled_with_its_handle,
        a_checkpoint_when_preempted,
        a_checkpoint_at_the_time_limit,
        a_checkpoint_of_an_array_task,
        tasks_on_two_nodes,
    )
