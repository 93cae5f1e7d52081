"""The PMI server of a node: what ranks ask and are answered. The exchange is that of a real MPICH under 25.11."""

from collections import defaultdict
from typing import Any

import pytest

from bridge.agent import pmi

HELLO = "cmd=init pmi_version=1 pmi_subversion=1\n"


class Node:
    """Ranks 2 and 3 of four, on the second of two nodes; or all two of a single one."""

    def __init__(self, *, is_alone: bool = False) -> None:
        self.answers: dict[int, list[str]] = defaultdict(list)
        self.told: list[dict[str, Any]] = []
        self.server = pmi.Server(
            "12.0",
            2 if is_alone else 4,
            "(vector,(0,1,2))" if is_alone else "(vector,(0,2,2))",
            [0, 1] if is_alone else [2, 3],
            is_alone=is_alone,
            answer=lambda rank, data: self.answers[rank].append(data.decode()),
            tell=self.told.append,
        )

    def ask(self, rank: int, text: str) -> list[str]:
        """What the rank was answered to it."""
        self.answers[rank].clear()
        self.server.hear(rank, text.encode())
        return list(self.answers[rank])

    def ask2(self, rank: int, body: str) -> list[str]:
        return self.ask(rank, f"{len(body):<6}{body}")


class TestVersion1:
    @pytest.mark.parametrize(
        ("request_", "answer"),
        [
            ("cmd=init pmi_version=1 pmi_subversion=1", "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1"),
            ("cmd=init pmi_version=3 pmi_subversion=0", "cmd=response_to_init rc=-1 pmi_version=3 pmi_subversion=0"),
            ("cmd=get_maxes", "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024"),
            ("cmd=get_appnum", "cmd=appnum rc=0 appnum=-1"),
            ("cmd=get_my_kvsname", "cmd=my_kvsname rc=0 kvsname=12.0"),
            ("cmd=get_universe_size", "cmd=universe_size rc=0 size=4"),
            ("cmd=get kvsname=12.0 key=PMI_process_mapping", "cmd=get_result rc=0 value=(vector,(0,2,2))"),
            ("cmd=get kvsname=12.0 key=nothing", "cmd=get_result rc=1"),
            ("cmd=get kvsname=9.9 key=PMI_process_mapping", "cmd=get_result rc=1"),
            ("cmd=put kvsname=12.0 key=a value=b", "cmd=put_result rc=0"),
            ("cmd=finalize", "cmd=finalize_ack rc=0"),
            ("cmd=nonsense", "cmd=nonsense_result rc=-1"),
        ],
    )
    def test_each_question_has_its_answer(self, request_, answer):
        assert Node().ask(2, request_ + "\n") == [answer + "\n"]

    def test_a_line_in_pieces_and_two_in_one_piece(self):
        node = Node()
        assert node.ask(2, HELLO[:10]) == []
        assert len(node.ask(2, HELLO[10:] + "cmd=finalize\n")) == 2

    def test_what_was_put_is_seen_after_the_barrier_only(self):
        node = Node(is_alone=True)
        node.ask(0, "cmd=put kvsname=12.0 key=a value=x=y\n")
        node.ask(0, "cmd=put kvsname=12.0 key=a value=x=z\n")
        assert node.ask(0, "cmd=get kvsname=12.0 key=a\n") == ["cmd=get_result rc=1\n"]
        assert node.ask(0, "cmd=barrier_in\n") == []
        assert node.ask(1, "cmd=barrier_in\n") == ["cmd=barrier_out rc=0\n"]
        assert node.answers[0] == ["cmd=barrier_out rc=0\n"]
        assert node.ask(1, "cmd=get kvsname=12.0 key=a\n") == ["cmd=get_result rc=0 value=x=z\n"]

    def test_a_barrier_over_several_nodes_goes_through_srun(self):
        node = Node()
        node.ask(2, "cmd=put kvsname=12.0 key=a value=1\n")
        node.ask(2, "cmd=barrier_in\n")
        assert node.told == []
        assert node.ask(3, "cmd=barrier_in\n") == []
        assert node.told == [{"do": "puts", "puts": {"a": "1"}}, {"do": "fence"}]
        node.server.from_srun({"do": "puts", "puts": {"b": "2"}})
        assert node.answers[3] == []
        node.server.from_srun({"do": "fenced"})
        assert node.answers[3] == ["cmd=barrier_out rc=0\n"]
        assert node.ask(3, "cmd=get kvsname=12.0 key=b\n") == ["cmd=get_result rc=0 value=2\n"]

    def test_much_goes_to_srun_in_pieces(self):
        node = Node()
        for number in range(600):
            node.ask(2, f"cmd=put kvsname=12.0 key=k{number} value={'v' * 1000}\n")
        node.ask(2, "cmd=barrier_in\n")
        node.ask(3, "cmd=barrier_in\n")
        pieces = [len(message["puts"]) for message in node.told if message["do"] == "puts"]
        assert (sum(pieces), len(pieces)) == (600, 3)

    def test_spawning_is_refused_once_in_a_sentence(self):
        node = Node()
        block = "mcmd=spawn\nnprocs=1\nexecname=P\ntotspawns=2\nspawnssofar={}\narg1=cmd=x y\nargcnt=1\nendcmd\n"
        assert node.ask(2, block.format(1)) == []
        assert node.ask(2, block.format(2)) == ["cmd=spawn_result rc=-1\n"]
        assert [message["do"] for message in node.told] == ["say"]
        assert "MPI_Comm_spawn is refused" in node.told[0]["line"]
        assert node.ask(2, "cmd=finalize\n") == ["cmd=finalize_ack rc=0\n"]

    def test_names_are_asked_of_srun(self):
        node = Node()
        assert node.ask(3, "cmd=lookup_name service=svc\n") == []
        assert node.told == [{"do": "lookup", "rank": 3, "name": "svc", "port": ""}]
        node.server.from_srun({"do": "named", "rank": 3, "verb": "lookup", "is_good": True, "port": "p"})
        assert node.answers[3] == ["cmd=lookup_result info=ok port=p\n"]

    def test_an_abort_is_told_and_not_answered(self):
        node = Node()
        assert node.ask(2, "cmd=abort exitcode=42\n") == []
        assert node.told == [{"do": "abort"}]

    def test_ranks_do_not_fill_the_service_s_memory(self, monkeypatch):
        monkeypatch.setattr(pmi, "_MOST_BYTES_KEPT", 1000)
        node = Node()
        put = "cmd=put kvsname=12.0 key=a value=" + "v" * 500 + "\n"
        assert node.ask(2, put) == ["cmd=put_result rc=0\n"]
        with pytest.raises(ValueError, match="more than 1000 bytes were put"):
            node.ask(3, put)

    def test_a_line_without_end_is_no_pmi(self):
        with pytest.raises(ValueError, match="without end"):
            Node().ask(2, "x" * (2 << 20))


class TestVersion2:
    @pytest.fixture
    def node(self):
        made = Node()
        for rank in (2, 3):
            hello = made.ask(rank, "cmd=init pmi_version=2 pmi_subversion=0\n")
            assert hello == ["cmd=response_to_init rc=0 pmi_version=2 pmi_subversion=0\n"]
        return made

    @pytest.mark.parametrize(
        ("request_", "answer"),
        [
            (
                "cmd=fullinit;pmijobid=12.0;pmirank=2;threaded=FALSE;",
                "114   cmd=fullinit-response;rc=0;pmi-version=2;pmi-subversion=0;rank=2;size=4;appnum=-1;"
                "debugged=FALSE;pmiverbose=FALSE;",
            ),
            ("cmd=job-getid;", "39    cmd=job-getid-response;rc=0;jobid=12.0;"),
            (
                "cmd=info-getjobattr;key=PMI_process_mapping;",
                "68    cmd=info-getjobattr-response;rc=0;found=TRUE;value=(vector,(0,2,2));",
            ),
            (
                "cmd=info-getjobattr;key=mpi_reserved_ports;",
                "46    cmd=info-getjobattr-response;rc=0;found=FALSE;",
            ),
            ("cmd=kvs-get;thrid=7;key=x;", "46    cmd=kvs-get-response;thrid=7;rc=0;found=FALSE;"),
            ("cmd=finalize;", "27    cmd=finalize-response;rc=0;"),
        ],
    )
    def test_each_question_has_its_answer(self, node, request_, answer):
        assert node.ask2(2, request_) == [answer]

    def test_a_semicolon_in_a_value_comes_back(self, node):
        node.ask2(2, "cmd=kvs-put;key=card;value=a;;b=c;")
        node.ask2(2, "cmd=kvs-fence;")
        node.ask2(3, "cmd=kvs-fence;")
        node.server.from_srun({"do": "fenced"})
        assert node.answers[3] == ["28    cmd=kvs-fence-response;rc=0;"]
        assert node.ask2(3, "cmd=kvs-get;jobid=12.0;srcid=2;key=card;") == [
            "50    cmd=kvs-get-response;rc=0;found=TRUE;value=a;;b=c;"
        ]

    def test_an_attribute_of_the_node_can_be_waited_for(self, node):
        assert node.ask2(2, "cmd=info-getnodeattr;key=shm;wait=TRUE;") == []
        assert node.ask2(3, "cmd=info-putnodeattr;key=shm;value=seg name;") == [
            "35    cmd=info-putnodeattr-response;rc=0;"
        ]
        assert node.answers[2] == ["61    cmd=info-getnodeattr-response;rc=0;found=TRUE;value=seg name;"]

    def test_names(self, node):
        node.ask2(2, "cmd=name-publish;name=svc;port=port 1;infokeycount=0;")
        assert node.told == [{"do": "publish", "rank": 2, "name": "svc", "port": "port 1"}]
        node.server.from_srun({"do": "named", "rank": 2, "verb": "publish", "is_good": True, "port": "port 1"})
        node.server.from_srun({"do": "named", "rank": 3, "verb": "lookup", "is_good": True, "port": "port 1"})
        assert node.answers[2] == ["31    cmd=name-publish-response;rc=0;"]
        assert node.answers[3][1:] == ["43    cmd=name-lookup-response;rc=0;value=port 1;"]

    def test_a_length_that_is_none_is_no_pmi(self, node):
        with pytest.raises(ValueError, match="invalid literal"):
            node.ask(2, "abcdef")


@pytest.mark.parametrize(
    ("ranks", "mapping"),
    [
        ([[0, 1], [2, 3]], "(vector,(0,2,2))"),
        ([[0, 1, 2], [3]], "(vector,(0,1,3),(1,1,1))"),
        ([[0, 1, 2, 3, 4], [5], [6]], "(vector,(0,1,5),(1,2,1))"),
        ([[0, 1, 3, 4], [2]], "(vector,(0,1,2),(1,1,1),(0,1,2))"),
        ([[0, 2], [1, 3]], "(vector,(0,2,1),(0,2,1))"),
    ],
)
def test_the_mapping_tells_who_shares_a_node(ranks, mapping):
    assert pmi.process_mapping(ranks) == mapping
