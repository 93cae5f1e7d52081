"""parsl: apps on blocks of nodes by SlurmProvider, a block for each launcher, and the provider alone."""

import subprocess
from pathlib import Path

import ordinary
import parsl
from parsl import launchers
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.jobs.states import JobState
from parsl.providers import SlurmProvider
from parsl.providers.errors import SubmitException

PLAIN = {"exclusive": False, "launcher": launchers.SimpleLauncher()}


@parsl.python_app
def square(x: int) -> tuple[int, str, str]:
    import os

    return x * x, os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_PROCID", "none")


@parsl.python_app
def total(*numbers: tuple[int, str, str]) -> int:
    return sum(number[0] for number in numbers)


@parsl.bash_app
def hello(stdout: str = "", word: str = "world") -> str:
    return f"echo hello {word} from $SLURM_JOB_NODELIST"


@parsl.bash_app
def broken() -> str:
    return "exit 7"


def loaded(folder: Path, **provider: object) -> Config:
    return Config(
        executors=[
            HighThroughputExecutor(
                label="nodes",
                address="127.0.0.1",
                max_workers_per_node=2,
                working_dir=str(folder),
                provider=SlurmProvider("main", **{"walltime": "00:10:00", "exclusive": False} | provider),
            )
        ],
        run_dir=str(folder / "runinfo"),
        initialize_logging=True,
        strategy="simple",
        retries=0,
    )


def nothing_is_left() -> None:
    def left() -> str:
        return subprocess.check_output(["squeue", "--me", "--noheader"], text=True)

    ordinary.until(lambda: not left(), left)


def twenty_apps(folder: Path) -> None:
    with parsl.load(loaded(folder, cores_per_node=2, mem_per_node=1)):
        squares = [square(n) for n in range(20)]
        assert [future.result(timeout=120)[0] for future in squares] == [n * n for n in range(20)]
        assert total(*squares).result(timeout=60) == sum(n * n for n in range(20))
        assert hello(stdout=str(folder / "hello.out")).result(timeout=60) == 0
        assert (folder / "hello.out").read_text().startswith("hello world from n")
        error = broken().exception(timeout=60)
        assert "7" in str(error), error
    nothing_is_left()


def a_block_of_two_nodes_by_srun(folder: Path) -> None:
    made = loaded(folder, nodes_per_block=2, launcher=launchers.SrunLauncher(overrides="--cpu-bind=none"))
    with parsl.load(made):
        found = [future.result(timeout=120) for future in [square(n) for n in range(20)]]
        assert [value for value, _, _ in found] == [n * n for n in range(20)]
        assert {rank for _, _, rank in found} <= {"0", "1"}
    nothing_is_left()


def whole_nodes_by_multi_srun(folder: Path) -> None:
    made = loaded(folder, exclusive=True, init_blocks=2, max_blocks=2, launcher=launchers.SrunMPILauncher())
    with parsl.load(made):
        found = [future.result(timeout=120)[0] for future in [square(n) for n in range(20)]]
        assert found == [n * n for n in range(20)]
    nothing_is_left()


def states_of_jobs(folder: Path) -> None:
    """The provider without an executor: its states, and what it makes of refusals."""
    provider = SlurmProvider("main", walltime="00:05:00", worker_init="export WORD=said", **PLAIN)
    assert "sacct" in provider._cmd, provider._cmd
    provider.script_dir = str(folder)
    wanted = {
        provider.submit("echo $WORD $JOBNAME", 1, "good"): JobState.COMPLETED,
        provider.submit("exit 3", 1, "bad"): JobState.FAILED,
        provider.submit("sleep 300", 1, "long"): JobState.RUNNING,
        provider.submit("sleep 300", 1, "cancelled"): JobState.RUNNING,
    }
    wait_for(provider, wanted)
    running = list(wanted)[2:]
    subprocess.check_call(["scancel", running[0]])
    assert provider.cancel(running[1:]) == [True]
    wait_for(provider, {running[0]: JobState.CANCELLED})
    first = provider.resources[next(iter(wanted))]["status"]
    assert first.stdout.startswith("said good."), first
    try:
        SlurmProvider("nowhere", exclusive=False).submit("true", 1)
    except (SubmitException, AssertionError):
        pass
    else:
        raise AssertionError("no such partition, and taken")


def many_in_one_question(folder: Path) -> None:
    """A hundred jobs, asked for in batches of fifty."""
    provider = SlurmProvider("main", **PLAIN, scheduler_options="#SBATCH --begin=now+1hour")
    provider.script_dir = str(folder)
    ids = [provider.submit("true", 1) for _ in range(100)]
    assert {status.state for status in provider.status(ids)} == {JobState.PENDING}
    assert all(provider.cancel(ids))
    nothing_is_left()


def wait_for(provider: SlurmProvider, wanted: dict[str, JobState]) -> None:
    """parsl forgets how an ended job ended: what it does not ask for again, it takes as completed."""
    missing = dict(wanted)

    def seen() -> bool:
        for job, status in zip(wanted, provider.status(list(wanted)), strict=True):
            if missing.get(job) == status.state:
                del missing[job]
        return not missing

    ordinary.until(seen, lambda: missing)


if __name__ == "__main__":
    ordinary.run(
        twenty_apps, a_block_of_two_nodes_by_srun, whole_nodes_by_multi_srun, states_of_jobs, many_in_one_question
    )
