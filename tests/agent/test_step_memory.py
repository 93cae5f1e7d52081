"""Memory of a job's nodes as steps take it. Expectations are a real srun 25.11's."""

import pytest

from bridge.agent import layout, step_options, step_request, step_say, step_wish

OF_NODE = {"SLURM_NNODES": "1", "SLURM_MEM_PER_NODE": "200"}
OF_CPU = {"SLURM_NNODES": "1", "SLURM_MEM_PER_CPU": "100"}


def wish_of(argv: str, environment: dict[str, str]) -> layout.Wish:
    return step_wish.make_wish(step_options.read([*argv.split(), "true"], environment), environment)[0]


def two_beside(argv: str, environment: dict[str, str]) -> bool:
    """Whether two such steps run at once in a job of one node with two CPUs and 200 MiB."""
    allocation = layout.Allocation(["n1"], [2], [200])
    wish = wish_of(argv, environment)
    allocation.take(0, allocation.place(wish))
    try:
        allocation.place(wish)
    except layout.Busy:
        allocation.give_back(0)
        allocation.place(wish)
        return False
    return True


@pytest.mark.parametrize(
    ("argv", "environment", "beside"),
    [
        ("-n1 --exact", OF_NODE, False),
        ("-n1 --exact --mem=50", OF_NODE, True),
        ("-n1 --exact --mem=101", OF_NODE, False),
        ("-n1 -c1 --mem-per-cpu=50", OF_NODE, True),
        ("-n1 --overlap", OF_NODE, True),
        ("-n1 --exact --mem=0", OF_NODE, True),
        ("-n1 --exact", OF_CPU, True),
        ("-n1 --exact --mem=50", OF_CPU, True),
    ],
)
def test_a_step_takes_its_job_s_memory_unless_it_asks_for_less(argv, environment, beside):
    assert two_beside(argv, environment) is beside


def test_more_than_the_job_has_is_refused_and_per_cpu_waited_for():
    allocation = layout.Allocation(["n1"], [2], [200])
    with pytest.raises(layout.Refused, match="Memory required by task is not available"):
        allocation.place(wish_of("-n1 --mem=1G", OF_NODE))
    with pytest.raises(layout.Busy):
        allocation.place(wish_of("-n1 --mem-per-cpu=100000", OF_NODE))


@pytest.mark.parametrize(("text", "mib"), [("50", 50), ("50M", 50), ("1G", 1024), ("50K", 1), ("0", 0)])
def test_sizes(text, mib):
    assert wish_of(f"-n1 --mem={text}", OF_NODE).memory_per_node_mib == mib


@pytest.mark.parametrize("text", ["50x", "", "1.5G", "-1"])
def test_no_size(text):
    with pytest.raises(step_request.Bad, match="Invalid --mem specification") as caught:
        wish_of(f"-n1 --mem={text}", OF_NODE)
    assert caught.value.code == 255


def test_two_sizes():
    with pytest.raises(step_say.Fatal, match="are mutually exclusive"):
        wish_of("-n1 --mem=50 --mem-per-cpu=20", OF_NODE)


def test_two_sizes_from_jobs_within_jobs():
    both = {**OF_NODE, **OF_CPU}
    with pytest.raises(
        step_say.Fatal, match="SLURM_MEM_PER_CPU, SLURM_MEM_PER_GPU, and SLURM_MEM_PER_NODE are mutually"
    ):
        wish_of("-n1", both)
    wish = wish_of("-n1 --mem=50", both)
    assert (wish.memory_per_node_mib, wish.memory_per_cpu_mib) == (50, None)
