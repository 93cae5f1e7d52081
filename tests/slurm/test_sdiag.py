"""sdiag: what is counted, and how it is told."""

from adapters.slurm import sdiag
from adapters.slurm.answer import Answer
from bridge.core.cycles import Cycles
from bridge.core.job import End, Share
from tests.builders import NOON, a_job
from tests.slurm.views import a_view

ON = (Share("n1", 1, 256, 1),)

TEXT = """\
*******************************************************
sdiag output at Tue Nov 14 22:15:00 2023 (1700000100)
Data since      Tue Nov 14 22:13:20 2023 (1700000000)
*******************************************************

Jobs submitted: 4
Jobs started:   2
Jobs completed: 1
Jobs canceled:  1
Jobs failed:    0

Job states ts:  Tue Nov 14 22:15:00 2023 (1700000100)
Jobs pending:   1
Jobs running:   1

Main schedule statistics (microseconds):
\tLast cycle:   100
\tMax cycle:    300
\tTotal cycles: 2
\tMean cycle:   200
\tMean depth cycle:  3
\tCycles per minute: 1
\tLast queue length: 5

Remote Procedure Call statistics by message type
\tREQUEST_JOB_INFO                        ( 2003) count:2      ave_time:1500   total_time:3000
\tscontrol                                (65534) count:1      ave_time:9000   total_time:9000

Remote Procedure Call statistics by user
\talice           (    1001) count:2      ave_time:5000   total_time:10000
\troot            (       0) count:1      ave_time:2000   total_time:2000

Pending RPC statistics
\tNo pending RPCs
"""


def the_calls() -> sdiag.Calls:
    calls = sdiag.Calls(NOON)
    calls.add("squeue", 1001, "alice", 0.001)
    calls.add("squeue", 0, "root", 0.002)
    calls.add("scontrol", 1001, "alice", 0.009)
    return calls


def the_jobs():
    after = {"submitted_at": NOON + 1}
    return [
        a_job(id=1, **after),
        a_job(id=2, state="RUNNING", nodes=ON, started_at=NOON + 2, **after),
        a_job(id=3, state="COMPLETED", nodes=ON, started_at=NOON + 2, ended_at=NOON + 3, end=End(), **after),
        a_job(id=4, state="CANCELLED", ended_at=NOON + 3, **after),
    ]


def test_the_whole_text():
    cycles = Cycles().after(0.0003, 1).after(0.0001, 5)
    jobs = sdiag.tally(the_jobs(), NOON)
    assert sdiag.text(sdiag.Query(), jobs, the_calls(), cycles, a_view().clock) == TEXT


def test_what_ended_before_the_counting_began_is_not_counted():
    old = a_job(state="FAILED", submitted_at=NOON - 9, nodes=ON, started_at=NOON - 8, ended_at=NOON - 1)
    assert set(sdiag.tally([old], NOON).values()) == {0}


def test_orders_of_calls():
    def names(*argv: str) -> list[str]:
        query = sdiag.read(argv, {})
        assert isinstance(query, sdiag.Query)
        return [name for name, _, _ in sdiag.ordered(query, the_calls())]

    assert names() == ["REQUEST_JOB_INFO", "scontrol"]
    assert names("-i") == ["REQUEST_JOB_INFO", "scontrol"]
    assert names("-t") == names("-T") == ["scontrol", "REQUEST_JOB_INFO"]


def test_counting_begins_anew():
    calls = the_calls()
    calls.reset(NOON + 50)
    assert (calls.since, calls.by_command, calls.by_user) == (NOON + 50, {}, {})


def test_texts_and_refusals():
    assert sdiag.read(["-V"], {}) == Answer("slurm 25.11.8\n")
    assert sdiag.read(["--usage"], {}) == Answer("Usage: sdiag [-M cluster] [-aritT]\n")
    assert sdiag.read(["--bogus"], {}) == Answer(
        "", "sdiag: unrecognized option '--bogus'\nTry \"sdiag --help\" for more information\n", 1
    )
