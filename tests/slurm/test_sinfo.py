"""sinfo's texts. Expected outputs are those of 25.11 (tests/slurm-oracle.jsonl, group queries)."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import sinfo, sinfo_columns
from adapters.slurm.answer import Answer
from adapters.slurm.scontrol_show import NodeUse
from bridge.core.nodes import Host, NodeState
from tests.builders import NOON
from tests.slurm.views import NODES, SITE, a_view


def the_nodes():
    """n1 partly used, n2 full, n3 drained, n4 idle."""
    n1, n2, n3, n4 = (
        dataclasses.replace(node, host=Host("vm", "127.0.0.1", load=load, free_memory_mib=free))
        for node, load, free in zip(NODES, (0.5, 1.471, 0.7, 0.9), (19742, 9000, 9500, 12000), strict=True)
    )
    drained = dataclasses.replace(n3, state=NodeState.DRAIN, reason="testing drain", reason_by="root", reason_at=NOON)
    return [NodeUse(n1, 1, 256), NodeUse(n2, 8, 2048), NodeUse(drained), NodeUse(n4)]


def text_of(*argv, nodes=None, environ=None):
    query = sinfo.read(argv, environ or {})
    assert isinstance(query, sinfo.Query), query
    answer = sinfo.render(query, SITE, the_nodes() if nodes is None else nodes, a_view().clock)
    assert answer.stderr == ""
    return answer.stdout


def test_the_default_listing():
    assert text_of() == (
        "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\n"
        "main*        up 1-00:00:00      1  drain n3\n"
        "main*        up 1-00:00:00      1    mix n1\n"
        "main*        up 1-00:00:00      1  alloc n2\n"
        "short        up       5:00      1    mix n1\n"
        "short        up       5:00      1  alloc n2\n"
        "gpu          up   infinite      1   idle n4\n"
    )


def test_reasons():
    assert text_of("-R") == (
        "REASON               USER      TIMESTAMP           NODELIST\n"
        "testing drain        root      2023-11-14T22:13:20 n3\n"
    )


def test_a_row_for_each_node_and_partition():
    assert text_of("-N") == (
        "NODELIST   NODES PARTITION STATE \n"
        "n1             1     main* mix   \n"
        "n1             1     short mix   \n"
        "n2             1     main* alloc \n"
        "n2             1     short alloc \n"
        "n3             1     main* drain \n"
        "n4             1       gpu idle  \n"
    )
    assert text_of("-h", "-N", "-o", "%N %t %T %C", "-p", "main").split("\n")[:3] == [
        "n1 mix mixed 1/7/0/8",
        "n2 alloc allocated 8/0/0/8",
        "n3 drain drained 0/0/8/8",
    ]


def test_the_long_listing_by_node():
    assert text_of("-N", "-l", "-p", "gpu") == (
        "Tue Nov 14 22:15:00 2023\n"
        "NODELIST   NODES PARTITION       STATE CPUS    S:C:T MEMORY TMP_DISK WEIGHT AVAIL_FE REASON              \n"
        "n4             1       gpu        idle 8       2:4:1  16000        0      1      amd none                \n"
    )


def test_the_long_listing():
    assert text_of("-l", "-p", "short") == (
        "Tue Nov 14 22:15:00 2023\n"
        "PARTITION AVAIL  TIMELIMIT   JOB_SIZE ROOT OVERSUBS     GROUPS  NODES       STATE RESERVATION NODELIST\n"
        "short        up       5:00 1-infinite   no       NO        all      1       mixed             n1\n"
        "short        up       5:00 1-infinite   no       NO        all      1   allocated             n2\n"
    )


def test_the_summary():
    assert text_of("-s") == (
        "PARTITION AVAIL  TIMELIMIT   NODES(A/I/O/T) NODELIST\n"
        "main*        up 1-00:00:00          2/0/1/3 n[1-3]\n"
        "short        up       5:00          2/0/0/2 n[1-2]\n"
        "gpu          up   infinite          0/1/0/1 n4\n"
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-t", "idle"], "main* n/a \nshort n/a \ngpu idle n4\n"),
        (["-t", "drain,alloc"], "main* drain n3\nmain* alloc n2\nshort alloc n2\ngpu n/a \n"),
        (["-n", "n[3-4]"], "main* drain n3\nshort n/a \ngpu idle n4\n"),
        (["-p", "nowhere"], ""),
        (["-p", "gpu,short"], "short mix n1\nshort alloc n2\ngpu idle n4\n"),
        (["-d"], "main* n/a \nshort n/a \ngpu n/a \n"),
    ],
)
def test_filters(argv, expected):
    assert text_of("-h", "-o", "%P %t %N", *argv) == expected


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-o", "%P"], "main*\nshort\ngpu\n"),
        (["-o", "%R %D %F %A"], "main 3 2/0/1/3 2/0\nshort 2 2/0/0/2 2/0\ngpu 1 0/1/0/1 0/1\n"),
        (["-o", "%C"], "9/15/8/32\n"),
        (["-o", "%N %G"], "n[1-3] (null)\nn4 gpu:a100:4\n"),
        (["-o", "%m %c %e %O"], "16000 8 9000-19742 0.50-1.47\n"),
        (["-o", "%n %o %N"], "vm 127.0.0.1 n[1-4]\n"),
        (["-o", "%E"], "testing drain\nnone\n"),
        (["-O", "partition:8,nodelist:.10,statecomplete:"], "gpu             n4idle\n"),
        (["-O", "gres:15,gresused:15", "-p", "gpu"], "gpu:a100:4     gpu:a100:0(IDX:\n"),
    ],
)
def test_columns_choose_the_rows(argv, expected):
    argv = [*argv, "-p", "gpu"] if "statecomplete" in argv[1] else argv
    assert text_of("-h", *argv) == expected


def test_what_nobody_saw_of_nodes_is_not_made_up():
    assert text_of("-h", "-o", "%e %O", nodes=[NodeUse(node, 2, 100) for node in NODES]) == "N/A N/A\n"


def test_every_column_prints():
    assert (
        text_of("-o", "".join(f"%{letter}|" for letter in "aAbBcCdDeEfFgGhHiIlLmMnNoOpPrRsStTuUvVwXYzZ")).count("\n")
        == 7
    )
    names = sinfo.squeue_help.columns_of_four(list(sinfo_columns.NAMES)).split()
    assert text_of("-O", ",".join(names)).count("\n") == 7


def test_states_of_nodes():
    node = NODES[0]
    down = dataclasses.replace(node, state=NodeState.DOWN)
    drain = dataclasses.replace(node, state=NodeState.DRAIN)
    uses = [NodeUse(down), NodeUse(drain, 1), NodeUse(drain), NodeUse(node, completing=True), NodeUse(node)]
    shown = [text_of("-h", "-o", "%t %T", "-p", "short", nodes=[use]) for use in uses]
    assert shown == ["down down\n", "drng draining\n", "drain drained\n", "comp completing\n", "idle idle\n"]


def test_sorting_by_partition_backwards():
    assert text_of("-h", "-S", "-P", "-o", "%P") == "short\nmain*\ngpu\n"


@pytest.mark.parametrize(
    ("argv", "stderr"),
    [
        (["-x"], "sinfo: invalid option -- 'x'\nTry \"sinfo --help\" for more information\n"),
        (["-i", "x"], "sinfo: error: Error: invalid entry for --iterate=x\n"),
        (["-n", "n["], "sinfo: error: Invalid node list: n[\n"),
    ],
)
def test_refusals(argv, stderr):
    assert sinfo.read(argv, {}) == Answer(stderr=stderr, exit_code=1)


def test_a_bad_state_is_refused_with_the_good_ones():
    answer = sinfo.read(["-t", "bogus"], {})
    assert isinstance(answer, Answer)
    assert answer.exit_code == 1
    assert answer.stderr.startswith(
        'sinfo: error: Bad state string: "bogus"\nsinfo: error: valid states: unknown,down,idle,allocated,mixed,'
    )


def test_a_bad_letter_is_named():
    query = sinfo.read(["-o", "%q %P"], {})
    assert isinstance(query, sinfo.Query)
    answer = sinfo.render(query, SITE, the_nodes(), a_view().clock)
    assert answer.stderr == "Invalid node format specification: q\n"
    assert answer.stdout.startswith("%q PARTITION\n%q main*\n")


_LISTED = "-N -l -s -R -o -O -h -p -n -t -S -d -r -e %P %#N main n1 idle,mix -P partition:3"
_WORDS = _LISTED.split()


@given(st.lists(st.one_of(st.sampled_from(_WORDS), st.text(max_size=10)), max_size=6))
def test_any_command_line_gives_a_query_or_an_answer(argv):
    query = sinfo.read(argv, {})
    if isinstance(query, sinfo.Query):
        assert isinstance(sinfo.render(query, SITE, the_nodes(), a_view().clock), Answer)
