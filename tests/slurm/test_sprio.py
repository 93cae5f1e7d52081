"""sprio's texts, as 25.11 prints them where no factor is weighed."""

import pytest

from adapters.slurm import sprio
from adapters.slurm.answer import Answer
from bridge.core.indexset import parse
from tests.builders import NOON, a_job, an_array

BIG = a_job(id=38, eligible_at=NOON, asked={"account": "physics", "nice": 5})
ARRAY = a_job(id=39, eligible_at=NOON, waiting=parse("1-3"), asked={"account": "physics", "array": an_array("1-3")})
HELD = a_job(id=40, priority=0)
LATER = a_job(id=41, begin_at=NOON + 3600)


def read(*argv: str) -> sprio.Query:
    query = sprio.read(argv, {}, {"alice": 1001, "bob": 1002}.get)
    assert isinstance(query, sprio.Query), query
    return query


def text_of(*argv: str) -> str:
    query = read(*argv)
    answer = sprio.render(query, [job for job in (ARRAY, BIG, HELD, LATER) if sprio.matches(query, job)])
    assert answer.stderr == ""
    return answer.stdout


def test_jobs_that_could_start_are_listed():
    assert text_of() == (
        "          JOBID PARTITION   PRIORITY       SITE\n"
        "             38 main               1          0\n"
        "             39 main               1          0\n"
    )


def test_all_factors():
    assert text_of("-l") == (
        "          JOBID PARTITION     USER  ACCOUNT   PRIORITY       SITE        AGE      ASSOC  FAIRSHARE    JOBSIZE"
        "  PARTITION    QOSNAME        QOS        NICE                 TRES\n"
        "             38 main         alice  physics          1          0          0          0          0          0"
        "          0     normal          0           5                     \n"
        "             39 main         alice  physics          1          0          0          0          0          0"
        "          0     normal          0           0                     \n"
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-h"], "             38 main               1          0\n             39 main               1          0\n"),
        (["-n", "-j", "38"], "          JOBID PARTITION PRIORITY  \n             38 main      0.00000000\n"),
        (["-w"], "          JOBID PARTITION   PRIORITY       SITE\n        Weights                               1\n"),
        (["-u", "bob"], "          JOBID PARTITION     USER   PRIORITY       SITE\n"),
        (["-h", "-p", "short"], ""),
        (["-h", "-o", "%i|%Y|%u|%N|%a|%A", "-S", "-i"], "39|1|alice|0|0.0000000|0\n38|1|alice|5|0.0000000|0\n"),
    ],
)
def test_options(argv, expected):
    assert text_of(*argv) == expected


def test_refusals():
    uid_of = {"alice": 1001}.get
    assert sprio.read(["-j", "abc"], {}, uid_of) == Answer("", "sprio: error: Invalid job id: abc\n", 1)
    assert sprio.read(["-x"], {}, uid_of) == Answer(
        "", "sprio: invalid option -- 'x'\nTry \"sprio --help\" for more information\n", 1
    )
    operand = sprio.read(["foo"], {}, uid_of)
    assert operand == Answer(sprio.USAGE, "\nsprio: error: Unrecognized option: foo\n", 1)
    assert sprio.render(read("-o", "%z"), []).stderr == "sprio: error: Invalid job format specification: z\n"
    assert read("-u", "nosuch").warnings == "sprio: error: Invalid user: nosuch\n\n"
