"""sstat's texts, as 25.11 prints them."""

import pytest

from adapters.slurm import sstat
from adapters.slurm.answer import Answer
from adapters.slurm.selectors import Selected
from adapters.slurm.sstat import Row
from adapters.slurm.steps_data import Running
from bridge.backends.port import TaskUsage
from bridge.core.job import Share
from bridge.store.records import StepRow
from tests.builders import NOON, a_job

JOB = a_job(id=41, state="RUNNING", nodes=(Share("n1", 2, 512, 2),))
STEP = StepRow(JOB.key, 1, 0, "sleep", ("n1",), 2, 2, NOON, None, 0, 0, 0, 0.0, 0.0)
SRUN, BATCH = Running(JOB, STEP, 5), Running(JOB, None, 6)
TASKS = (
    ("n1", TaskUsage(0, "0", 0, (19696,), 1.0, 0.5, 1612, 2920, 6977, 1)),
    ("n1", TaskUsage(0, "0", 1, (19697, 19698), 3.0, 0.5, 1660, 2900, 7977, 2 * 2**20)),
)
ROW = Row("41.0", SRUN, TASKS)


def read(*argv: str) -> sstat.Query:
    query = sstat.read(argv)
    assert isinstance(query, sstat.Query), query
    return query


def cells(*fields: str, argv: tuple[str, ...] = ()) -> str:
    text = sstat.render(read("-nP", "-j", "41", "-o", ",".join(fields), *argv), [ROW]).stdout
    return text.removesuffix("\n")


def test_columns():
    query = read("-j", "41", "-o", "JobID,MaxRSS,NTasks%5")
    assert sstat.render(query, [ROW]).stdout == (
        "JobID            MaxRSS NTasks \n------------ ---------- ----- \n41.0              1660K     2 \n"
    ).replace("NTasks \n", "NTask \n", 1)


def test_figures_of_tasks():
    assert cells("MaxRSS", "MaxRSSNode", "MaxRSSTask", "AveRSS") == "1660K|n1|1|1636K"
    assert cells("MaxVMSize", "MaxVMSizeTask", "AveVMSize") == "2920K|0|2910K"
    assert cells("AveCPU", "MinCPU", "MinCPUTask") == "00:00:02|00:00:01|0"
    assert cells("MaxDiskRead", "AveDiskRead", "MaxDiskWrite") == "7977|7477|2.00M"
    assert cells("AllocTRES", "Nodelist", "Pids") == "cpu=2,mem=512M,node=1|n1|19696,19697,19698"
    assert cells("TRESUsageInMax") == "cpu=00:00:03,fs/disk=7977,mem=1660K,vmem=2920K"
    assert cells("TRESUsageInMaxTask", "TRESUsageOutTot") == "cpu=1,fs/disk=1,mem=1,vmem=0|fs/disk=2097153"
    assert cells("MaxRSS", argv=("--noconvert",)) == "1699840"


def test_what_is_not_measured_is_empty():
    assert cells("MaxPages", "ConsumedEnergy", "AveCPUFreq") == "||"
    query = read("-nP", "-j", "41", "-o", ",".join(sstat.WIDTHS))
    assert set(sstat.render(query, [Row("41.batch", BATCH, ())]).stdout.strip().split("|")) == {"", "41.batch", "1"}


@pytest.mark.parametrize(
    ("argv", "word", "expected"),
    [
        ([], "41", ["0"]),
        (["-a"], "41", ["batch", "0"]),
        ([], "41.batch", ["batch"]),
        ([], "41.7", []),
    ],
)
def test_which_steps_are_told(argv, word, expected):
    query = read(*argv, "-j", word)
    selected = query.jobs[0][1]
    assert [step.name for step in sstat.chosen(query, selected, [BATCH, SRUN])] == expected


def test_forms():
    assert sstat.render(read("-p", "-j", "41", "-o", "jobid,ntasks"), [ROW]).stdout == "JobID|NTasks|\n41.0|2|\n"
    assert sstat.render(read("-i", "-n", "-j", "41"), [ROW]).stdout == (
        f"{'41.0':<12} {'n1':>20} {'19696,19697,19698':>20} \n"
    )
    assert read("41.batch").jobs == (("41.batch", Selected(41, step="batch")),)


def test_refusals():
    assert sstat.read([]) == Answer("", "sstat: error: You didn't give me any jobs to stat.\n", 1)
    assert sstat.read(["-j", "abc"]) == Answer("", "sstat: fatal: Bad job/step specified: abc\n", 1)
    assert sstat.read(["-o", "bogus"]) == Answer("", 'sstat: error: Invalid field requested: "bogus"\n', 1)
    assert sstat.read(["--json"]) == Answer("", "sstat: unrecognized option '--json'\n", 1)
    assert sstat.read(["-e"]).stdout.startswith("AllocTRES           AveCPU              AveCPUFreq ")
