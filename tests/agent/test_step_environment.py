"""What tasks find of their job, beside what srun hands over."""

import pytest

from bridge.agent import step_environment, step_options, step_request

BATCH = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_PARTITION": "main",
    "SLURM_JOB_USER": "tessa",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_JOB_CPUS_PER_NODE": "2,1",
    "SLURM_MEM_PER_CPU": "100",
    "SLURM_JOB_NAME": "train",
    "SLURM_JOB_QOS": "normal",
    "SLURM_SUBMIT_DIR": "/home/tessa",
    "WORD": "of the batch script",
}
LAUNCH = {"batch": {"environment": BATCH}}


def test_an_emptied_environment_still_tells_of_the_job():
    assert step_environment.of_job(LAUNCH, {"SLURM_STEP_NODELIST": "n2"}, ["/bin/date", "-u"]) == {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_PARTITION": "main",
        "SLURM_JOB_USER": "tessa",
        "SLURM_JOB_NODELIST": "n2",
        "SLURM_NODELIST": "n[1-2]",
        "SLURM_STEP_NODELIST": "n2",
        "SLURM_JOB_CPUS_PER_NODE": "2,1",
        "SLURM_MEM_PER_CPU": "100",
        "SLURM_JOB_NAME": "date",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLURM_JOB_PARTITION", "main"),
        ("SLURM_JOB_ID", "7"),
        ("SLURM_JOB_QOS", "changed"),
        ("SLURM_JOB_NAME", "changed"),
        ("SLURM_MEM_PER_CPU", "changed"),
        ("SLURM_JOB_NODELIST", "changed"),
        ("SLURM_NODELIST", "n[1-2]"),
        ("SLURM_SUBMIT_DIR", "changed"),
        ("WORD", "changed"),
    ],
)
def test_some_that_the_script_changed_are_set_right(name, value):
    assert step_environment.of_job(LAUNCH, {**BATCH, name: "changed"}, ["date"])[name] == value


def test_a_launch_file_without_an_environment_adds_nothing():
    assert step_environment.of_job({}, {"A": "1"}, ()) == {"A": "1"}


def test_what_srun_was_asked_for_is_told_as_it_was_written():
    asked = "--gpus=a100:1 --gpus-per-node 2 --cpus-per-gpu=3 --ntasks-per-node=4 --threads-per-core=1 -c2 --mem=5 date"
    given = step_options.read(asked.split(), {})
    told = step_request.environment_of_step(given, {}, [{"name": "n1", "ranks": [0]}], 0)
    assert {name: value for name, value in told.items() if "PER" in name or "GPU" in name} == {
        "SLURM_GPUS": "a100:1",
        "SLURM_GPUS_PER_NODE": "2",
        "SLURM_CPUS_PER_GPU": "3",
        "SLURM_NTASKS_PER_NODE": "4",
        "SLURM_THREADS_PER_CORE": "1",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_TRES_PER_TASK": "cpu=2",
        "SLURM_STEP_TASKS_PER_NODE": "1",
        "SLURM_TASKS_PER_NODE": "1",
    }
