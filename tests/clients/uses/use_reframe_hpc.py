"""ReFrame: tests through its two Slurm schedulers, by srun, on all that is idle, a test for each node."""

import re
import subprocess
from pathlib import Path

import ordinary

SETTINGS = """
def partition(name, scheduler, access, **more):
    return {"name": name, "scheduler": scheduler, "access": access, "environs": ["builtin"], "max_jobs": 8, **more}

memory = {"name": "memory", "options": ["--mem={size}"]}
gpus = {"name": "gpus", "options": ["--gres=gpu:{n}"]}
site_configuration = {
    "systems": [{
        "name": "here", "hostnames": [".*"], "modules_system": "nomod",
        "partitions": [
            partition("history", "slurm", ["-p main"], launcher="srun", resources=[memory]),
            partition("queue", "squeue", ["-p main"], launcher="srun"),
            partition("gpu", "slurm", ["-p gpu"], launcher="local", resources=[gpus]),
        ],
    }],
    "environments": [{"name": "builtin", "target_systems": ["here"]}],
}
"""
CHECKS = """
import reframe as rfm
import reframe.utility.sanity as sn

class Base(rfm.RunOnlyRegressionTest):
    valid_systems = ["here:history", "here:queue"]
    valid_prog_environs = ["builtin"]
    time_limit = "5m"

@rfm.simple_test
class Ranks(Base):
    executable = "sh"
    executable_opts = ["-c", "'echo rank $SLURM_PROCID'"]
    num_tasks = 4
    num_tasks_per_node = 2

    @sanity_function
    def four_of_them(self):
        return sn.assert_eq(sorted(sn.extractall(r"rank (\\d)", self.stdout, 1, int)), [0, 1, 2, 3])

@rfm.simple_test
class AllThatIsIdle(Base):
    executable = "echo here"
    num_tasks = 0
    num_tasks_per_node = 1

    @sanity_function
    def at_least_one(self):
        return sn.assert_ge(sn.count(sn.findall("here", self.stdout)), 1)

@rfm.simple_test
class Alone(Base):
    valid_systems = ["here:history"]
    executable = "echo rate 12.5"
    exclusive_access = True
    extra_resources = {"memory": {"size": "500M"}}
    reference = {"here:history": {"rate": (12, -0.1, 0.1, "GB/s")}}

    @sanity_function
    def is_said(self):
        return sn.assert_found("rate", self.stdout)

    @performance_function("GB/s")
    def rate(self):
        return sn.extractsingle(r"rate (\\S+)", self.stdout, 1, float)

@rfm.simple_test
class ExitCode(Base):
    valid_systems = ["here:history"]
    executable = "false"

    @sanity_function
    def is_known(self):
        return sn.assert_eq(self.job.exitcode, 1)

@rfm.simple_test
class Devices(Base):
    valid_systems = ["here:gpu"]
    executable = "echo devices=$CUDA_VISIBLE_DEVICES"
    extra_resources = {"gpus": {"n": "2"}}

    @sanity_function
    def are_two(self):
        return sn.assert_found(r"devices=\\d,\\d", self.stdout)
"""


def reframe(folder: Path, *words: str) -> str:
    (folder / "settings.py").write_text(SETTINGS)
    (folder / "checks.py").write_text(CHECKS)
    argv = ["reframe", "--nocolor", "-C", "settings.py", "-c", "checks.py", "--prefix", "out", "-r", *words]
    ran = subprocess.run(argv, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert ran.returncode == 0, f"exit status {ran.returncode}\n{ran.stdout}"
    return ran.stdout


def counted(said: str) -> tuple[int, int]:
    """(cases that ran, failures)"""
    found = re.search(r"Ran (\d+)/\d+ test case\(s\) from \d+ check\(s\) \((\d+) failure", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


def one_after_the_other(folder: Path) -> None:
    assert counted(reframe(folder, "--exec-policy=serial")) == (7, 0)


def beside_each_other(folder: Path) -> None:
    """What wants all idle nodes is left out."""
    assert counted(reframe(folder, "-x", "AllThatIsIdle")) == (5, 0)


def on_each_node(folder: Path) -> None:
    assert counted(reframe(folder, "-n", "ExitCode", "--distribute=all")) == (4, 0)


def with_options_of_sbatch(folder: Path) -> None:
    said = reframe(folder, "-n", "AllThatIsIdle", "--system=here:history", "-J", "constraint=ib", "-J", "nice=5")
    assert counted(said) == (1, 0)


if __name__ == "__main__":
    ordinary.run(one_after_the_other, beside_each_other, on_each_node, with_options_of_sbatch)
