from adapters.slurm import foreseen
from bridge.core.users import User
from tests.builders import NOON, a_node, a_request, a_site

ALICE = User("alice", 1001, 1001)
NODES = (a_node("n1"), a_node("n2"))


def _of(**asked: object) -> foreseen.Foreseen:
    submitted = b"PATH=/bin\0SLURM_JOB_ID=77"
    return foreseen.of(a_request(**asked), b"#!/bin/sh\n", submitted, ALICE, a_site(), NODES, NOON)


def test_the_group_of_a_request_has_no_secrets_and_only_what_is_added_of_the_environment():
    told = _of(tasks=2).group
    assert told is not None
    assert (told["partition"], told["job_id"], [node["name"] for node in told["nodes"]]) == ("main", 1, ["n1"])
    assert not {"key", "job_token", "instance"} & set(told)
    environment = told["batch"]["environment"]
    assert "PATH" not in environment
    assert (environment["SLURM_JOB_ID"], environment["SLURM_NTASKS"]) == ("1", "2")


def test_what_waits_for_a_release_or_for_others_is_shown_as_it_will_run():
    assert _of(hold=True).group == _of().group
    assert _of(begin_at=NOON + 900).group == _of().group


def test_an_array_is_shown_by_its_first_task():
    told = _of(array="3-5").group
    assert told is not None
    assert (told["task_index"], told["batch"]["stdout"]) == (3, "/slurm-1_3.out")


def test_why_there_is_none_is_told():
    assert _of(partitions=("nope",)) == foreseen.Foreseen(
        None, "it would be refused: invalid partition specified: nope"
    )
    assert _of(nodes_min=9, nodes_max=9).why_not == "it would wait: PartitionConfig"
