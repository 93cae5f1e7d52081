"""AiiDA: its Slurm scheduler through its transport on this machine: scripts, lists of jobs, details, ends."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import ordinary
from aiida.common.exceptions import AiidaException
from aiida.schedulers.datastructures import CodeRunMode, JobState, JobTemplate, JobTemplateCodeInfo
from aiida.schedulers.plugins.slurm import SlurmScheduler
from aiida.transports.plugins.local import LocalTransport


@contextlib.contextmanager
def scheduler() -> Iterator[SlurmScheduler]:
    with LocalTransport(use_login_shell=False) as transport:
        made = SlurmScheduler()
        made.set_transport(transport)
        yield made


def submit(
    slurm: SlurmScheduler, folder: Path, name: str, body: str, *, queue: str = "main", hold: bool = False
) -> str:
    template = JobTemplate()
    template.job_name, template.queue_name, template.submit_as_hold = name, queue, hold
    template.sched_output_path, template.sched_error_path = f"{name}.out", f"{name}.err"
    template.max_wallclock_seconds, template.max_memory_kb, template.uuid = 600, 204800, name
    template.import_sys_environment, template.rerunnable = True, False
    template.job_resource = slurm.create_job_resource(
        num_machines=1, num_mpiprocs_per_machine=2, num_cores_per_mpiproc=1
    )
    code = JobTemplateCodeInfo()
    code.cmdline_params = ["sh", "-c", body]
    template.codes_info, template.codes_run_mode = [code], CodeRunMode.SERIAL
    (folder / f"{name}.sh").write_text(slurm.get_submit_script(template))
    answer = slurm.submit_job(str(folder), f"{name}.sh")
    assert isinstance(answer, str), answer
    return answer


def gone(slurm: SlurmScheduler, job: str) -> None:
    ordinary.until(lambda: not slurm.get_jobs(jobs=[job]), lambda: slurm.get_jobs(jobs=[job]))


def a_job_to_its_end(folder: Path) -> None:
    with scheduler() as slurm:
        job = submit(slurm, folder, "good", "echo hello")
        gone(slurm, job)
        assert (folder / "good.out").read_text() == "hello\n"
        details = slurm.get_detailed_job_info(job)
        assert details["retval"] == 0, details
        head, first, *_ = details["stdout"].splitlines()
        row = dict(zip(head.split("|"), first.split("|"), strict=True))
        assert (row["JobID"], row["State"], row["NCPUS"]) == (job, "COMPLETED", "2"), row
        assert slurm.parse_output(details, "", "") is None


def as_they_stand_in_the_queue(folder: Path) -> None:
    with scheduler() as slurm:
        running = submit(slurm, folder, "long", "sleep 300")
        held = submit(slurm, folder, "held", "true", hold=True)

        def seen() -> dict[str, object]:
            found = slurm.get_jobs(jobs=[running, held, "4000000"], as_dict=True)
            return {job: info.job_state for job, info in found.items()}

        ordinary.until(lambda: seen() == {running: JobState.RUNNING, held: JobState.QUEUED_HELD}, seen)
        info = slurm.get_jobs(jobs=[running], as_dict=True)[running]
        assert (info.title, info.queue_name, info.num_mpiprocs, info.num_machines) == ("long", "main", 2, 1), info
        assert info.requested_wallclock_time_seconds == 600 and info.dispatch_time >= info.submission_time, info
        mine = {job.job_id for job in slurm.get_jobs(user=os.environ["USER"])}
        assert {running, held} <= mine, mine
        for job in (running, held):
            assert slurm.kill_job(job)
            gone(slurm, job)
        assert slurm.get_jobs(jobs=["4000000"]) == []


def what_it_makes_of_refusals(folder: Path) -> None:
    with scheduler() as slurm:
        refused = ""
        try:
            submit(slurm, folder, "lost", "true", queue="nowhere")
        except AiidaException as error:
            refused = str(error)
        assert "Invalid partition name specified" in refused, refused or "no such partition, and taken"


if __name__ == "__main__":
    ordinary.run(a_job_to_its_end, as_they_stand_in_the_queue, what_it_makes_of_refusals)
