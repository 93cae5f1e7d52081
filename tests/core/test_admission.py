"""Admission by example; the recorded answers of real Slurm are replayed in tests/slurm."""

import pytest

from bridge.core import admission
from bridge.core.dag import Clause, Dependency, Kind
from bridge.core.errors import Refused
from bridge.core.nodes import Partition, Site
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS, Gres
from bridge.core.users import User
from tests.builders import NOON, a_node, a_request

ALICE = User("alice", 1001, 1001, (1001,), ("alice", "physics"))
NODES = (
    a_node("n1", cpus=8, memory_mib=16000, features=("intel", "ib")),
    a_node("n2", cpus=8, memory_mib=16000, features=("intel",)),
    a_node("n3", cpus=8, memory_mib=16000, features=("amd",), gres=(("gpu", "a100", 4),)),
)
PARTITIONS = (
    Partition("main", "local", ("n1", "n2"), is_default=True, max_time_seconds=86400, default_time_seconds=1800),
    Partition("gpu", "local", ("n3",)),
    Partition("closed", "local", ("n3",), state="DOWN"),
    Partition("small", "local", ("n1",), max_nodes=1, max_time_seconds=3600),
    Partition("theirs", "local", ("n1",), allow_users=("bob",)),
    Partition("group", "local", ("n1",), allow_groups=("chemistry",)),
)
SITE = Site(partitions=PARTITIONS, licenses=(("matlab", 4),))
STRICT = Site(partitions=PARTITIONS, licenses=(("matlab", 4),), enforce_part_limits=True)


def admit(site=SITE, is_operator=False, **fields):
    return admission.admit(a_request(**fields), site, NODES, ALICE, NOON, is_operator=is_operator)


class TestWhatNoNodeHas:
    NODES = tuple(a_node(name, cpus=8, memory_mib=16000, sockets=2) for name in ("n1", "n2"))

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"cpus_per_task": 9, "memory_per_cpu_mib": 17000}, "CPU count per node can not be satisfied"),
            ({"cpus_per_task": 2, "memory_per_cpu_mib": 16001}, "Memory specification can not be satisfied"),
            ({"memory_per_node_mib": 17000}, "Memory specification can not be satisfied"),
            ({"temporary_disk_mib": 1}, "Temporary disk specification can not be satisfied"),
            ({"sockets_per_node": 3}, "Socket, core and/or thread specification can not be satisfied"),
            ({"threads_per_core": 2}, "Socket, core and/or thread specification can not be satisfied"),
            ({"cpus_per_task": 2, "memory_per_cpu_mib": 9000}, "no nodes can ever give what the job asks for"),
        ],
    )
    def test_is_named_where_one_thing_alone_is_too_much(self, fields, sentence):
        site = Site(partitions=(Partition("main", "local", ("n1", "n2"), is_default=True),))
        with pytest.raises(Refused) as caught:
            admission.admit(a_request(**fields), site, self.NODES, ALICE, NOON, is_operator=False)
        assert (caught.value.code, caught.value.sentence) == ("not_available", sentence)


class TestDefaults:
    def test_the_default_partition_and_its_default_time(self):
        assert admit() == admission.Admitted("main", 1800, None, None, None)

    def test_a_partition_without_limits_gives_none(self):
        assert admit(partitions=("gpu",)).time_limit_seconds == UNLIMITED_SECONDS

    def test_a_deadline_lets_a_job_of_unknown_length_have_a_minute_at_least(self):
        admitted = admit(partitions=("gpu",), deadline_at=NOON + 600)
        assert (admitted.time_limit_seconds, admitted.time_min_seconds) == (UNLIMITED_SECONDS, 60)
        assert admit(deadline_at=NOON + 7200) == admit()

    def test_licences_may_be_counted_with_an_equals_sign(self):
        site = Site(partitions=PARTITIONS, licenses=(("matlab", 4),))
        assert admit(site, licenses="matlab=2").partition == "main"
        with pytest.raises(Refused):
            admit(site, licenses="matlab=5")

    def test_the_first_account_of_a_user_is_his_default(self):
        site = Site(partitions=PARTITIONS, accounts=(("alice", ("physics", "chem")),))
        assert admit(site).account == "physics"
        assert admit(site, account="chem").account == "chem"


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"partitions": ("nope",)}, "invalid_partition"),
            ({"partitions": ("theirs",)}, "access_denied"),
            ({"partitions": ("group",)}, "group_not_permitted"),
            ({"array": "0-1001"}, "invalid_array"),
            ({"nice": -1}, "invalid_nice"),
            ({"node_list": ("n9",)}, "invalid_node_name"),
            ({"exclude": ("n9",)}, "invalid_node_name"),
            ({"node_list": ("n3",)}, "not_available"),
            ({"constraint": "nope"}, "bad_feature"),
            ({"constraint": "intel&&amd"}, "bad_feature"),
            ({"constraint": "intel&amd"}, "not_available"),
            ({"constraint": "intel*1&ib*1"}, "bad_feature"),
            ({"licenses": "matlab:5"}, "invalid_license"),
            ({"licenses": "ansys"}, "invalid_license"),
            ({"memory_per_node_mib": 10**6}, "not_available"),
            ({"temporary_disk_mib": 10**6}, "not_available"),
            ({"cpus_per_task": 9}, "not_available"),
            ({"nodes_min": 0}, "bad_node_count"),
            ({"gres_per_node": (Gres("fpga"),)}, "invalid_gres"),
            ({"partitions": ("gpu",), "gres_per_node": (Gres("gpu", None, 9),)}, "not_available"),
            ({"time_limit_seconds": 60, "time_min_seconds": 120}, "invalid_time_min"),
            ({"deadline_at": NOON - 1}, "invalid_time_limit"),
            ({"time_limit_seconds": 600, "deadline_at": NOON + 500}, "invalid_time_limit"),
            ({"deadline_at": NOON + 600}, "invalid_time_limit"),
            ({"time_min_seconds": 300, "deadline_at": NOON + 120}, "invalid_time_min"),
            ({"prefer": "nope"}, "invalid_prefer"),
        ],
    )
    def test_what_cannot_be_is_refused_with_slurms_code(self, fields, code):
        with pytest.raises(Refused) as refused:
            admit(**fields)
        assert refused.value.code == code

    def test_without_a_default_a_partition_must_be_named(self):
        with pytest.raises(Refused) as refused:
            admit(Site(partitions=(Partition("main", "local", ("n1",)),)))
        assert refused.value.code == "no_partition"

    def test_an_operator_passes_the_lists_of_a_partition(self):
        assert admit(partitions=("theirs",), is_operator=True).partition == "theirs"

    @pytest.mark.parametrize(
        "waits",
        [{"hold": True}, {"begin_at": NOON + 60}, {"dependency": Dependency((Clause(Kind.AFTER_ANY, 1),))}],
    )
    def test_a_job_that_waits_for_something_else_skips_the_test_whether_it_could_ever_run(self, waits):
        assert admit(memory_per_node_mib=10**6, **waits).reason is Reason.NONE


class TestImages:
    def test_are_those_that_the_partition_lets_jobs_name(self):
        pods = Partition("pods", "k", ("n1",), is_default=True, images=("registry.example/*", "debian:*"))
        site = Site(partitions=(pods, Partition("main", "local", ("n1",))))
        for image in ("registry.example/a/b:1", "debian:12"):
            assert admit(site, container_image=image).partition == "pods"
        with pytest.raises(
            Refused, match=r"evil/x does not run in partition pods: those like registry.example/\*, debian"
        ):
            admit(site, container_image="evil/x")
        with pytest.raises(Refused, match="does not run in partition main: none of the jobs' own choice"):
            admit(site, container_image="debian:12", partitions=("main",))


class TestLimits:
    @pytest.mark.parametrize(
        ("fields", "reason", "code"),
        [
            ({"partitions": ("small",), "time_limit_seconds": 7200}, Reason.PARTITION_TIME_LIMIT, "invalid_time_limit"),
            ({"partitions": ("small",), "nodes_min": 2}, Reason.PARTITION_NODE_LIMIT, "bad_node_count"),
            ({"tasks": 17}, Reason.PARTITION_CONFIG, "too_many_cpus"),
        ],
    )
    def test_over_a_limit_it_waits_or_is_refused_as_the_site_says(self, fields, reason, code):
        assert admit(**fields).reason is reason
        with pytest.raises(Refused) as refused:
            admit(STRICT, **fields)
        assert refused.value.code == code

    def test_a_partition_that_is_down_takes_jobs(self):
        assert admit(partitions=("closed",)).reason is Reason.PARTITION_DOWN
