"""Sizes: as real Slurm showed them (NumCPUs, NumTasks, MinCPUsNode, memory rule), and what placement builds on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import sizing
from bridge.core.nodes import Partition
from bridge.core.request import Component, Gres
from tests.slurm import recorded

CASES = {
    case["id"]: case
    for case in recorded.cases("sizes", "gres", "memory", "environment", "files")
    if isinstance(case["expect"].get("job"), dict)
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_sizes_are_those_that_slurm_shows(case):
    shown = case["expect"]["job"]
    component = recorded.request_of(case).component
    partition = recorded.SITE.partition(shown["Partition"])
    size = sizing.size_of(component, partition)
    if component.nodes_min == 0:  # taken only when held; shown as nothing at all
        return
    tres = dict(part.split("=") for part in shown["ReqTRES"].split(","))
    assert {
        "NumCPUs": str(size.cpus),
        "NumTasks": str(size.tasks),
        "MinCPUsNode": str(size.cpus_per_node_min),
        "nodes": str(size.nodes_min),
        "gpus": str(sum(gres.count for gres in size.gres_total) or None),
        "by CPU": size.memory_per_cpu_mib is not None,
        "by node": size.memory_per_node_mib is not None,
    } == {
        "NumCPUs": shown["NumCPUs"],
        "NumTasks": shown["NumTasks"],
        "MinCPUsNode": shown["MinCPUsNode"],
        "nodes": tres["node"],
        "gpus": str(tres.get("gres/gpu")),
        "by CPU": "MinMemoryCPU" in shown,
        "by node": "MinMemoryNode" in shown,
    }


def size_of(partition: Partition | None = None, **fields: object) -> sizing.Size:
    return sizing.size_of(Component(**fields), partition)


class TestDefaults:
    def test_nothing_given_is_one_task_with_one_cpu_on_one_node(self):
        size = size_of()
        assert (size.nodes_min, size.tasks, size.cpus, size.cpus_per_task) == (1, 1, 1, 1)
        assert not size.task_count_given

    def test_nodes_alone_have_one_task_each(self):
        assert (size_of(nodes_min=3).tasks, size_of(nodes_min=3).nodes_max) == (3, 3)

    def test_a_fixed_number_a_node_without_n_counts_as_given(self):
        size = size_of(nodes_min=2, tasks_per_node=3)
        assert (size.tasks, size.cpus, size.task_count_given) == (6, 6, True)

    def test_the_partition_gives_the_memory_that_was_not_asked_for(self):
        by_cpu = Partition("p", "local", (), default_memory_per_cpu_mib=256)
        by_node = Partition("p", "local", (), default_memory_per_node_mib=999)
        assert size_of(by_cpu, cpus_per_task=2).memory_mib(2) == 512
        assert size_of(by_node).memory_mib(2) == 999
        assert size_of(by_cpu, memory_per_node_mib=100).memory_mib(2) == 100

    def test_mem_per_cpu_0_is_all_memory_of_a_node(self):
        assert size_of(memory_per_cpu_mib=0).memory_per_node_mib == 0

    def test_a_partition_may_give_nodes_whole(self):
        assert size_of(Partition("p", "local", (), whole_nodes=True)).whole_nodes
        assert not size_of(exclusive="user").whole_nodes

    def test_cpus_follow_from_gpus(self):
        assert size_of(gres_per_node=(Gres("gpu", None, 2),), cpus_per_gpu=3).cpus == 6
        assert size_of(gres_per_task=(Gres("gpu"),), tasks=2, cpus_per_gpu=3).cpus == 6

    def test_a_resource_wished_for_twice_is_one_wish_for_the_larger_number(self):
        size = size_of(gres_per_node=(Gres("gpu", None, 2), Gres("gpu", None, 1)), gres_per_job=(Gres("gpu", None, 3),))
        assert size.gres_per_node == (Gres("gpu", None, 2),)
        assert size.gres_total == (Gres("gpu", None, 3),)

    def test_tasks_per_gpu_alone_ask_for_gpus(self):
        assert size_of(tasks=4, tasks_per_gpu=2).gres_total == (Gres("gpu", None, 2),)
        spread = size_of(nodes_min=2, tasks_per_gpu=2)
        assert (spread.tasks, spread.gres_per_job) == (4, (Gres("gpu", None, 2),))

    def test_a_node_named_twice_is_one(self):
        assert size_of(node_list=("n1", "n1")).nodes_min == 1

    def test_two_gpus_for_each_of_three_tasks_are_six(self):
        assert size_of(tasks=3, gres_per_task=(Gres("gpu", "a100", 2),)).gres_total == (Gres("gpu", "a100", 6),)


small = st.none() | st.integers(1, 5)


@given(small, small, small, small, small, st.booleans())
def test_a_size_always_holds_its_tasks(nodes, tasks, per_node, cpus, mincpus, overcommit):
    size = size_of(
        nodes_min=nodes,
        tasks=tasks,
        tasks_per_node=per_node,
        cpus_per_task=cpus,
        cpus_per_node_min=mincpus,
        overcommit=overcommit,
    )
    assert size.nodes_min >= 1
    assert size.nodes_max is None or size.nodes_max >= size.nodes_min
    assert size.tasks >= size.nodes_min
    assert size.cpus >= size.nodes_min
    assert overcommit or size.cpus >= size.tasks * size.cpus_per_task
