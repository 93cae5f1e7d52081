"""psij-python: jobs by its Slurm executor, as its own tests of executors go about it, and what jobs ask for."""

import datetime
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import ordinary
import psij
from psij import Job, JobAttributes, JobExecutor, JobSpec, JobState, JobStatus, ResourceSpecV1
from psij.executors.batch.slurm import SlurmExecutorConfig

WAIT = datetime.timedelta(seconds=60)


def executor() -> JobExecutor:
    config = SlurmExecutorConfig(queue_polling_interval=1, initial_queue_polling_delay=1)
    return JobExecutor.get_instance("slurm", config=config)


def ended(job: Job, state: JobState, code: int | None = 0) -> JobStatus:
    status = job.wait(timeout=WAIT)
    assert status is not None, f"job {job.native_id} has not ended: {job.status}"
    assert (status.state, status.exit_code) == (state, code), status
    return status


def a_simple_job(folder: Path) -> None:
    job = Job(JobSpec(executable="/bin/date", launcher="single"))
    executor().submit(job)
    ended(job, JobState.COMPLETED)


def output_and_input(folder: Path) -> None:
    (folder / "in").write_text("one line\n")
    spec = JobSpec(
        executable="/bin/sh",
        arguments=["-c", 'cat; echo "$WORD in $PWD"; echo sad >&2'],
        directory=folder,
        environment={"WORD": "two words"},
        stdin_path=folder / "in",
        stdout_path=folder / "out",
        stderr_path=folder / "err",
        name="with a name",
        attributes=JobAttributes(duration=datetime.timedelta(minutes=10), queue_name="main"),
    )
    job = Job(spec)
    executor().submit(job)
    ended(job, JobState.COMPLETED)
    assert (folder / "out").read_text() == f"one line\ntwo words in {folder}\n"
    assert (folder / "err").read_text() == "sad\n"


def a_failing_job(folder: Path) -> None:
    job = Job(JobSpec(executable="/bin/sh", arguments=["-c", "exit 3"]))
    executor().submit(job)
    ended(job, JobState.FAILED, 3)


def a_missing_executable(folder: Path) -> None:
    job = Job(JobSpec(executable="/bin/no-such-program"))
    executor().submit(job)
    status = job.wait(timeout=WAIT)
    assert status is not None and status.state == JobState.FAILED, status


def a_refused_job(folder: Path) -> None:
    job = Job(JobSpec(executable="/bin/date", attributes=JobAttributes(queue_name="nowhere")))
    refused = ""
    try:
        executor().submit(job)
    except psij.SubmitException as error:
        refused = str(error)
    assert "invalid partition" in refused, refused or "no such partition, and taken"


def cancelled(folder: Path) -> None:
    job = Job(JobSpec(executable="/bin/sleep", arguments=["300"]))
    executor().submit(job)
    assert job.wait(timeout=WAIT, target_states=[JobState.ACTIVE]) is not None
    job.cancel()
    ended(job, JobState.CANCELED, None)
    assert subprocess.check_output(["squeue", "--me", "-h"], text=True) == ""


def a_job_that_waits(folder: Path) -> None:
    attributes = JobAttributes(custom_attributes={"slurm.begin": "now+1hour", "slurm.comment": "later"})
    job = Job(JobSpec(executable="/bin/date", attributes=attributes))
    executor().submit(job)
    assert job.wait(timeout=WAIT, target_states=[JobState.QUEUED]) is not None
    over_two_looks = datetime.timedelta(seconds=2.5)
    assert job.wait(timeout=over_two_looks, target_states=[JobState.ACTIVE]) is None
    assert job.status.state == JobState.QUEUED, job.status
    job.cancel()
    ended(job, JobState.CANCELED, None)


def attached_by_its_id(folder: Path) -> None:
    first = Job(JobSpec(executable="/bin/sleep", arguments=["2"]))
    executor().submit(first)
    assert first.wait(timeout=WAIT, target_states=[JobState.ACTIVE, JobState.COMPLETED]) is not None
    again = Job()
    assert first.native_id is not None
    executor().attach(again, first.native_id)
    status = again.wait(timeout=WAIT)
    assert status is not None and status.state == JobState.COMPLETED, status
    assert status.exit_code in (0, None), status  # read from a file that whichever of the two is first takes away
    assert first.native_id in executor().list() or first.final


def callbacks(folder: Path) -> None:
    seen: list[JobState] = []
    over = threading.Event()

    class Notes(psij.JobStatusCallback):
        def job_status_changed(self, job: Job, status: JobStatus) -> None:
            seen.append(status.state)
            if status.final:
                over.set()

    job = Job(JobSpec(executable="/bin/sleep", arguments=["2"]))
    job.set_job_status_callback(Notes())
    executor().submit(job)
    ended(job, JobState.COMPLETED)
    assert over.wait(10), seen
    assert seen == [JobState.QUEUED, JobState.ACTIVE, JobState.COMPLETED], seen


def many_at_once(folder: Path) -> None:
    one = executor()
    jobs = [Job(JobSpec(executable="/bin/true")) for _ in range(10)]
    for job in jobs:
        one.submit(job)
    for job in jobs:
        ended(job, JobState.COMPLETED)
    assert len({job.native_id for job in jobs}) == 10


def launched(launcher: str) -> Callable[[Path], None]:
    def several_processes(folder: Path) -> None:
        resources = ResourceSpecV1(node_count=2, processes_per_node=2, cpu_cores_per_process=1)
        spec = JobSpec(
            executable="/bin/sh",
            arguments=["-c", "echo ${SLURM_PROCID:-none} $(wc -l < $PSIJ_NODEFILE)"],
            resources=resources,
            stdout_path=folder / "out",
            launcher=launcher,
        )
        job = Job(spec)
        executor().submit(job)
        ended(job, JobState.COMPLETED)
        lines = sorted((folder / "out").read_text().splitlines())
        ranks = {"srun": ["0", "1", "2", "3"], "multiple": ["0"] * 4}[launcher]
        assert lines == [f"{rank} 4" for rank in ranks], lines

    several_processes.__name__ = f"several_processes_by_{launcher}"
    return several_processes


def memory_and_whole_nodes(folder: Path) -> None:
    """Memory in kibibytes, a node for oneself, nothing of the submitter's environment."""
    os.environ["MARK"] = "set"
    resources = ResourceSpecV1(node_count=1, exclusive_node_use=True, memory=64 * 1024 * 1024)
    spec = JobSpec(
        executable="/bin/sh",
        arguments=["-c", "echo $SLURM_MEM_PER_NODE ${MARK-unset} $SLURM_CPUS_ON_NODE"],
        inherit_environment=False,
        resources=resources,
        stdout_path=folder / "out",
    )
    job = Job(spec)
    executor().submit(job)
    ended(job, JobState.COMPLETED)
    assert (folder / "out").read_text() == "64 unset 4\n"


if __name__ == "__main__":
    ordinary.run(
        a_simple_job,
        output_and_input,
        a_failing_job,
        a_missing_executable,
        a_refused_job,
        cancelled,
        a_job_that_waits,
        attached_by_its_id,
        callbacks,
        many_at_once,
        launched("srun"),
        launched("multiple"),
        memory_and_whole_nodes,
    )
