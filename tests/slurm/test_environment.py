"""The environment of a batch job: compared whole with what real jobs printed, and what must not be set."""

import dataclasses
import re

import pytest

from adapters.slurm import environment
from bridge.core import admission, dag, indexset, placement, queue
from bridge.core.job import Job, JobState, Share
from bridge.core.request import Array, Gres
from tests.builders import NOON, a_job, a_request, a_site
from tests.slurm import recorded

CASES = {
    case["id"]: case
    for case in recorded.cases("environment")
    if any("SLURM_JOB_CPUS_PER_NODE" in text for text in case["expect"].get("files", {}).values())
}
NOT_OURS = {"SLURM_CONF", "SLURM_TASK_PID", "SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME"}
"""Of the site; and what the agent alone knows, once the script starts."""


def started(case: recorded.Case, index: int | None = None) -> Job:
    """The job as our own admission and placement start it on the recorded cluster."""
    request = recorded.request_of(case)
    admitted = admission.admit(request, recorded.SITE, recorded.NODES, recorded.ALICE, NOON, is_operator=False)
    job = Job(
        id=100,
        request=request,
        partition=admitted.partition,
        submitted_at=NOON,
        array_id=100 if index is not None else None,
        task_index=index,
        time_limit_seconds=admitted.time_limit_seconds,
    )
    if job.request.account is None or job.request.qos is None:
        job = job.changed(request=with_defaults(job, admitted))
    view = queue.view([job], recorded.SITE, NOON)
    plan = placement.plan(view.candidates, (), recorded.NODES, recorded.PARTITIONS, view.licenses_free, NOON)
    (found,) = plan.placements
    return job.changed(state=JobState.CONFIGURING, nodes=found.shares, attempt=1)


def with_defaults(job: Job, admitted: admission.Admitted):
    return dataclasses.replace(job.request, account=admitted.account, qos=admitted.qos)


def printed(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def ours(job: Job) -> dict[str, str]:
    found = environment.for_batch(job, job.nodes, recorded.ALICE, recorded.SITE, {})
    return {**found, **environment.for_node(job, 0)}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_batch_job_sees_what_it_sees_in_slurm(case):
    for name, text in case["expect"]["files"].items():
        index = re.search(r"\d+", name)
        job = started(case, int(index[0]) if index else None)
        wanted = {key: value for key, value in printed(text).items() if key not in NOT_OURS}
        found = {key: value for key, value in ours(job).items() if re.match("SLURM|SBATCH|TMPDIR|HOSTNAME", key)}
        assert found.keys() == wanted.keys()
        assert {k: v for k, v in found.items() if "{" not in wanted[k]} == {
            k: v for k, v in wanted.items() if "{" not in v
        }


def batch(submitted: dict[str, str] | None = None, shares: tuple[Share, ...] = (Share("n1", 2, 512, 2),), **fields):
    job = a_job(**{"state": JobState.CONFIGURING, "nodes": shares, **fields})
    return environment.for_batch(job, job.nodes, recorded.ALICE, a_site(), submitted or {})


SET_ONLY_WHEN_ASKED = (
    *("SLURM_CPUS_PER_TASK", "SLURM_TRES_PER_TASK", "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE"),
    *("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_MEM_PER_GPU", "SLURM_GPUS", "SLURM_GPUS_PER_NODE"),
    *("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_JOB_ID", "SLURM_RESTART_COUNT", "SLURM_JOB_DEPENDENCY", "SLURM_HINT"),
    *("SLURM_JOB_RESERVATION", "SLURM_JOB_LICENSES", "SLURM_OVERCOMMIT", "SLURM_TRES_BIND", "SLURM_DISTRIBUTION"),
)


class TestUnset:
    def test_what_was_not_asked_for_is_not_set(self):
        assert set(batch()) & set(SET_ONLY_WHEN_ASKED) == set()

    def test_an_outer_jobs_variables_travel_along_where_this_job_sets_none(self):
        outer = {"SLURM_NTASKS": "3", "SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "4"}
        assert batch(outer).items() >= {"SLURM_NTASKS": "3", "SLURM_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "4"}.items()

    def test_the_way_to_an_outer_jobs_agent_does_not(self):
        outer = dict.fromkeys(("BRIDGE_AGENT", "BRIDGE_KEY_FILE", "BRIDGE_TOKEN_FILE"), "x")
        assert set(batch(outer)) & set(outer) == set()

    def test_other_variables_travel_along(self):
        assert (
            batch({"COLOUR": "blue", "SLURM_MINE": "x", "TMPDIR": "/scratch"}).items()
            >= {
                "COLOUR": "blue",
                "SLURM_MINE": "x",
                "TMPDIR": "/scratch",
            }.items()
        )

    def test_mem_0_sets_none(self):
        assert not {name for name in batch(asked={"memory_per_node_mib": 0}) if "_MEM_" in name}


class TestSet:
    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"tasks": 2}, {"SLURM_NTASKS": "2", "SLURM_NPROCS": "2"}),
            ({"nodes_min": 1, "tasks_per_node": 2}, {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}),
            ({"cpus_per_task": 2}, {"SLURM_CPUS_PER_TASK": "2", "SLURM_TRES_PER_TASK": "cpu=2"}),
            ({"memory_per_cpu_mib": 300}, {"SLURM_MEM_PER_CPU": "300"}),
            ({"memory_per_gpu_mib": 300}, {"SLURM_MEM_PER_GPU": "300"}),
            ({"gres_per_job": (Gres("gpu", "a100", 2),)}, {"SLURM_GPUS": "a100:2"}),
            (
                {"gres_per_task": (Gres("gpu", None, 1),), "tasks": 2},
                {"SLURM_TRES_PER_TASK": "gres/gpu=1", "SLURM_TRES_BIND": "gres/gpu:per_task:1"},
            ),
            ({"licenses": "matlab:2"}, {"SLURM_JOB_LICENSES": "matlab:2"}),
            ({"distribution": "cyclic"}, {"SLURM_DISTRIBUTION": "cyclic"}),
            ({"environment_of_options": (("SLURM_GPUS_PER_NODE", "2"),)}, {"SLURM_GPUS_PER_NODE": "2"}),
            (
                {"dependency": dag.Dependency((dag.Clause(dag.Kind.AFTER_OK, 7),))},
                {"SLURM_JOB_DEPENDENCY": "afterok:7"},
            ),
        ],
    )
    def test_an_option_sets_its_variables(self, asked, expected):
        found = batch(asked=asked)
        assert {name: found.get(name) for name in expected} == expected

    def test_the_restart_count_from_the_first_restart_on(self):
        assert batch(restarts=2)["SLURM_RESTART_COUNT"] == "2"

    def test_a_task_of_an_array(self):
        from_range = Array(indexset.parse("1-6:2"), 2, "1-6:2%2")
        found = batch(request=a_request(array=from_range), id=13, array_id=12, task_index=3)
        assert {k: v for k, v in found.items() if "ARRAY" in k or k == "SLURM_JOB_ID"} == {
            "SLURM_JOB_ID": "13",
            "SLURM_ARRAY_JOB_ID": "12",
            "SLURM_ARRAY_TASK_ID": "3",
            "SLURM_ARRAY_TASK_COUNT": "3",
            "SLURM_ARRAY_TASK_MIN": "1",
            "SLURM_ARRAY_TASK_MAX": "5",
            "SLURM_ARRAY_TASK_STEP": "2",
        }

    def test_cpus_and_tasks_of_nodes_are_folded(self):
        shares = (Share("n1", 4, 0, 2), Share("n2", 2, 0, 1), Share("n3", 2, 0, 1))
        found = batch(shares=shares, asked={"tasks": 4, "cpus_per_task": 2})
        assert (found["SLURM_JOB_CPUS_PER_NODE"], found["SLURM_TASKS_PER_NODE"]) == ("4,2(x2)", "2,1(x2)")
        assert found["SLURM_JOB_NODELIST"] == "n[1-3]"

    def test_tasks_per_node_without_n_is_what_the_cpus_would_hold(self):
        found = batch(shares=(Share("n1", 8, 0, 1),), asked={"cpus_per_task": 2, "exclusive": "node"})
        assert found["SLURM_TASKS_PER_NODE"] == "4"


def test_each_node_has_its_own_name_and_devices():
    shares = (Share("n1", 2, 0, 1, (("gpu", "a100", (0, 2)),)), Share("n2", 1, 0, 1))
    job = a_job(state=JobState.CONFIGURING, nodes=shares)
    assert environment.for_node(job, 0) == {
        "SLURMD_NODENAME": "n1",
        "HOSTNAME": "n1",
        "SLURM_CPUS_ON_NODE": "2",
        "SLURM_NODEID": "0",
        "SLURM_JOB_GPUS": "0,2",
        "SLURM_GPUS_ON_NODE": "2",
        "CUDA_VISIBLE_DEVICES": "0,2",
        "GPU_DEVICE_ORDINAL": "0,2",
        "ROCR_VISIBLE_DEVICES": "0,2",
        "ZE_AFFINITY_MASK": "0,2",
    }
    assert environment.for_node(job, 1) == {
        "SLURMD_NODENAME": "n2",
        "HOSTNAME": "n2",
        "SLURM_CPUS_ON_NODE": "1",
        "SLURM_NODEID": "1",
    }
