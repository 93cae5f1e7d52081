"""sacct's texts. Expected outputs are those of 25.11 (tests/slurm-oracle.jsonl), ids aside."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import durations, sacct, sacct_fields
from adapters.slurm.answer import Answer
from bridge.core.job import End, JobKey, JobState, Share
from bridge.core.reasons import Reason
from tests.builders import NOON, a_job
from tests.slurm.views import a_view

UID_OF = {"alice": 1001, "bob": 1002}.get


@dataclass(frozen=True)
class Step:
    key: JobKey
    attempt: int = 1
    step_id: int = 0
    name: str = "sh"
    node_list: tuple[str, ...] = ("n1",)
    tasks: int = 1
    cpus: int = 2
    started_at: float = NOON + 1
    ended_at: float | None = NOON + 3
    exit_status: int = 0
    signal: int = 0
    max_rss_kib: int = 0
    user_seconds: float = 0.0
    system_seconds: float = 0.0


def read(*argv, uid=1001, now=NOON + 100, environ=None):
    return sacct.read(argv, environ or {}, durations.clock_of({"TZ": "UTC"}, now), uid, UID_OF)


def text_of(jobs, *argv, steps=(), environ=None):
    query = read(*argv, environ=environ)
    assert isinstance(query, sacct.Query), query
    shown = [left for job in jobs if (left := sacct.narrowed(query, job, str)) is not None]
    return sacct.render(query, sacct.rows_of(query, shown, steps), a_view()).stdout


def a_done_job(**fields):
    values = {
        "id": 123456,
        "state": JobState.COMPLETED,
        "started_at": NOON + 1,
        "ended_at": NOON + 1,
        "nodes": (Share("n1", 1, 256, 1),),
        "end": End(),
        "attempt": 1,
        "asked": {"name": "a_rather_long_name", "account": "physics"},
    }
    return a_job(**{**values, **fields})


HEADER = (
    "JobID           JobName  Partition    Account  AllocCPUS      State ExitCode \n"
    "------------ ---------- ---------- ---------- ---------- ---------- -------- \n"
)


def test_the_default_columns():
    assert text_of([a_done_job()], "-j", "123456") == HEADER + (
        "123456       a_rather_+       main    physics          1  COMPLETED      0:0 \n"
        "123456.batch      batch               physics          1  COMPLETED      0:0 \n"
    )


def test_no_job_leaves_the_header():
    assert text_of([], "-j", "99999999") == HEADER


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-n", "-P", "-o", "JobID,State,ExitCode"], "123456|COMPLETED|0:0\n123456.batch|COMPLETED|0:0\n"),
        (["-n", "-p", "-o", "jobid,state"], "123456|COMPLETED|\n123456.batch|COMPLETED|\n"),
        (
            ["-o", "JobID%20,State%-12,Elapsed%5"],
            "               JobID State        Elaps \n-------------------- ------------ ----- \n"
            "              123456 COMPLETED    00:00:00 \n        123456.batch COMPLETED    00:00:00 \n",
        ),
        (
            ["-b"],
            "JobID             State ExitCode \n------------ ---------- -------- \n"
            "123456        COMPLETED      0:0 \n123456.batch  COMPLETED      0:0 \n",
        ),
        (["-b", "-n", "-X", "-o", "uid%2,end%3"], "1001 202 123456        COMPLETED      0:0 \n"),
        (["-P", "--delimiter=;", "-o", "jobid,partition"], "JobID;Partition\n123456;main\n123456.batch;\n"),
        (["-X", "-n", "-o", "jobid%20,state%20"], "              123456            COMPLETED \n"),
    ],
)
def test_formats(argv, expected):
    assert text_of([a_done_job()], "-j", "123456", *argv) == expected


def test_one_step_alone():
    assert text_of([a_done_job()], "-n", "-j", "123456.batch", "-o", "jobid,jobname") == "123456.batch      batch \n"


def test_long_times_take_their_place():
    job = a_done_job(ended_at=NOON + 90001)
    assert text_of([job], "-X", "-n", "-j", "123456", "-o", "elapsed,timelimit,start,end%25") == (
        "1-01:00:00   00:30:00 2023-11-14T22:13:21       2023-11-15T23:13:21 \n"
    )


def test_steps_follow_their_job():
    job = a_done_job(state=JobState.FAILED, end=End(exit_status=1), derived_exit_status=9)
    steps = [
        Step(JobKey(123456), step_id=0, exit_status=2),
        Step(JobKey(123456), step_id=1, signal=9),
        Step(JobKey(123456), step_id=2, ended_at=None),
        Step(JobKey(123456), attempt=0),
    ]
    assert text_of(
        [job], "-P", "-n", "-j", "123456", "-o", "jobid,jobname,state,exitcode,derivedexitcode", steps=steps
    ) == (
        "123456|a_rather_long_name|FAILED|1:0|9:0\n"
        "123456.batch|batch|FAILED|1:0|\n"
        "123456.0|sh|FAILED|2:0|\n"
        "123456.1|sh|CANCELLED|0:9|\n"
        "123456.2|sh|CANCELLED|0:9|\n"
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"state": JobState.CANCELLED, "cancelled_by_uid": 1001, "end": End(signal=15)},
            "CANCELLED by 1001|0:0\nCANCELLED|0:15\n",
        ),
        ({"state": JobState.TIMEOUT, "end": End(signal=15, cause="time_limit")}, "TIMEOUT|0:0\nCANCELLED|0:15\n"),
        ({"state": JobState.TIMEOUT, "end": End(cause="time_limit")}, "TIMEOUT|0:0\nCOMPLETED|0:0\n"),
        ({"state": JobState.NODE_FAIL, "end": End(signal=1, cause="node_fail")}, "NODE_FAIL|1:0\nCANCELLED|\n"),
        (
            {"state": JobState.OUT_OF_MEMORY, "end": End(signal=125, cause="out_of_memory")},
            "OUT_OF_MEMORY|0:125\nOUT_OF_MEMORY|0:125\n",
        ),
        ({"state": JobState.FAILED, "end": End(exit_status=129)}, "FAILED|129:0\nFAILED|129:0\n"),
        ({"state": JobState.FAILED, "end": End(signal=11)}, "FAILED|0:11\nCANCELLED|0:11\n"),
    ],
)
def test_states_and_exit_codes(fields, expected):
    assert text_of([a_done_job(**fields)], "-P", "-n", "-j", "123456", "-o", "state,exitcode") == expected


def test_a_running_job():
    job = a_job(
        state="RUNNING", nodes=(Share("n1", 2, 512, 2), Share("n2", 1, 256, 1)), asked={"tasks": 3, "nodes_min": 2}
    )
    fields = (
        "jobid,state,nnodes,alloccpus,reqcpus,reqmem,start,end,elapsed,cputimeraw,alloctres,reqtres,nodelist,ntasks"
    )
    assert text_of([job], "-P", "-n", "-j", "12", "-o", fields) == (
        "12|RUNNING|2|3|3|768M|2023-11-14T22:13:21|Unknown|00:01:39|297|billing=3,cpu=3,mem=768M,node=2|"
        "billing=3,cpu=3,mem=768M,node=2|n[1-2]|\n"
        "12.batch|RUNNING|1|2|2||2023-11-14T22:13:21|Unknown|00:01:39|198|cpu=2,mem=512M,node=1||n1|1\n"
    )


def test_the_script_has_the_devices_of_its_node():
    held = (("gpu", "a100", (0, 1)),)
    job = a_job(state="RUNNING", nodes=(Share("n1", 1, 256, 1, held), Share("n2", 1, 256, 1, held)))
    assert text_of([job], "-P", "-n", "-j", "12", "-o", "jobid,alloctres") == (
        "12|billing=2,cpu=2,gres/gpu=4,mem=512M,node=2\n12.batch|cpu=1,gres/gpu=2,mem=256M,node=1\n"
    )


def test_the_waiting_rest_of_an_array():
    array = a_job(id=123456, asked={"array": "1-4%2"})
    fields = "JobID,JobIDRaw,State,ExitCode,NNodes,AllocCPUS,ReqCPUS,Start,End,Elapsed,NodeList"
    assert text_of([array], "-X", "-n", "-P", "-j", "123456", "-o", fields) == (
        "123456_[1-4%2]|123456|PENDING|0:0|1|0|1|Unknown|Unknown|00:00:00|None assigned\n"
    )
    assert text_of([array], "-n", "-P", "--array", "-j", "123456", "-o", "jobid").split() == [
        "123456_1",
        "123456_2",
        "123456_3",
        "123456_4",
    ]
    assert text_of([array], "-n", "-P", "-j", "123456_3", "-o", "jobid") == "123456_[3%2]\n"


def test_units():
    assert text_of([a_done_job()], "-X", "-n", "-P", "-j", "123456", "--units=G", "-o", "reqmem,alloctres") == (
        "0.25G|billing=1,cpu=1,mem=0.25G,node=1\n"
    )


def test_usage_is_in_the_rows_of_steps():
    end = End(max_rss_kib=2048, user_seconds=0.5, system_seconds=0.25)
    assert text_of([a_done_job(end=end)], "-n", "-P", "-j", "123456", "-o", "maxrss,totalcpu,usercpu,maxrssnode") == (
        "|00:00.750|00:00.500|\n2048K|00:00.750|00:00.500|n1\n"
    )


def test_what_steps_used_is_taken_off_the_batch_script():
    job = a_done_job(end=End(user_seconds=4.0, system_seconds=0.5))
    steps = [
        Step(job.key, tasks=2, user_seconds=2.5, system_seconds=0.25, ended_at=job.ended_at),
        Step(job.key, step_id=1, user_seconds=0.5, ended_at=job.ended_at),
    ]
    rows = text_of([job], "-n", "-P", "-j", "123456", "-o", "totalcpu,usercpu,systemcpu,avecpu", steps=steps)
    assert rows == (
        "00:04.500|00:04.000|00:00.500|\n"
        "00:01.250|00:01.000|00:00.250|00:00:01\n"
        "00:02.750|00:02.500|00:00.250|00:00:01\n"
        "00:00.500|00:00.500|00:00:00|00:00:00\n"
    )


def test_usage_as_amounts_tells_of_tasks_what_was_measured():
    job = a_done_job(end=End(max_rss_kib=2048, user_seconds=4.0))
    steps = [Step(job.key, tasks=2, max_rss_kib=1024, user_seconds=3.0, ended_at=job.ended_at)]
    fields = "tresusageintot,tresusageinave,tresusageinmax,tresusageinmin,mincpu"
    assert text_of([job], "-n", "-P", "-j", "123456", "-o", fields, steps=steps).splitlines() == [
        "||||",
        "|".join(["cpu=00:00:01,mem=2048K"] * 4 + ["00:00:01"]),
        "cpu=00:00:03|cpu=00:00:01|mem=1024K||",
    ]


def test_a_step_whose_end_nobody_saw_ended_with_its_job():
    fields = ("-n", "-P", "-j", "123456", "-o", "jobid,state,exitcode,elapsed")
    steps = [Step(JobKey(123456), started_at=NOON + 1, ended_at=None)]
    lost = text_of([a_done_job(end=End(exit_status=1), ended_at=NOON + 5)], *fields, steps=steps)
    assert lost.splitlines()[2] == "123456.0|CANCELLED|0:9|00:00:04"
    eaten = text_of([a_done_job(end=End(cause="out_of_memory"), ended_at=NOON + 5)], *fields, steps=steps)
    assert eaten.splitlines()[2] == "123456.0|OUT_OF_MEMORY|0:125|00:00:04"
    running = text_of([a_done_job(state=JobState.RUNNING, end=None, ended_at=None)], *fields, steps=steps)
    assert running.splitlines()[2].startswith("123456.0|RUNNING|0:0|")


def test_every_field_prints():
    jobs = [a_done_job(), a_job(eligible_at=NOON), a_job(id=13, eligible_at=NOON, asked={"array": "0-3"})]
    steps = [Step(JobKey(123456))]
    text = text_of(jobs, "-a", "-S", "2023-01-01", "-o", "all", steps=steps)
    assert text.count("\n") == 7
    assert text_of(jobs, "-a", "-S", "2023-01-01", "-l", "-P", "-n").count("\n") == 4


@pytest.mark.parametrize(
    ("argv", "stderr"),
    [
        (["-o", "JobID,Bogus"], 'sacct: error: Invalid field requested: "Bogus"\n'),
        (["-s", "SLEEPY"], "sacct: fatal: unrecognized job state value 'SLEEPY'\n"),
        (["-S", "someday"], "Invalid time specification (pos=0): someday\n"),
        (["-u", "nosuchuser"], "sacct: error: Invalid user id: nosuchuser\n"),
        (["-j", "abc"], "sacct: fatal: Bad job/step specified: abc\n"),
        (["-j", "1_x"], "sacct: fatal: Bad job array element specified: 1\n"),
        (["--bogus"], "sacct: unrecognized option '--bogus'\n"),
        (["-u"], "sacct: option requires an argument -- 'u'\n"),
        (["foo"], "sacct: error: Unknown arguments:\nsacct: error:  foo\n"),
        (
            ["--units=Z"],
            "sacct: error: Invalid unit type 'Z'. Possible options are 'KMGTP'\nsacct: fatal: Invalid unit type\n",
        ),
    ],
)
def test_refusals(argv, stderr):
    assert read(*argv) == Answer(stderr=stderr, exit_code=1)


def test_whose_jobs():
    assert read().uids == (1001,)
    assert read("-a").uids is None
    assert read(uid=0).uids is None
    assert read("-u", "bob,7").uids == (1002, 7)
    assert read("-j", "12").uids is None


def test_the_window():
    midnight = NOON - NOON % 86400
    assert (read().since, read().until) == (midnight, None)
    assert read("-j", "12").since == 0.0
    assert read("-s", "R").since == NOON + 100
    query = read("-S", "now-1hour", "-E", "now")
    assert (query.since, query.until) == (NOON - 3500, NOON + 100)
    assert read("-s", "R", "-S", "now-1hour").until == NOON - 3500


def test_a_time_of_day_begins_a_window_today():
    midnight = NOON - NOON % 86400
    assert read("-S", "10:00").since == midnight + 36000
    assert read("-S", "0131").since == 1675123200


def test_the_reason_is_what_a_job_that_was_placed_had_waited_for():
    ran = a_done_job(id=1, attempt=1, waited_for=Reason.LICENSES)
    waits = a_job(id=2, reason=Reason.DEPENDENCY, waited_for=Reason.HELD_USER)
    assert text_of([ran, waits], "-X", "-n", "-P", "-j", "1,2", "-o", "jobid,reason") == "1|Licenses\n2|None\n"


@pytest.mark.parametrize(
    ("argv", "ids"),
    [
        (["-S", "2023-11-14T22:13:25"], ["2", "3"]),
        (["-S", "2023-11-14T22:00:00", "-E", "2023-11-14T22:13:21", "-s", "CD"], ["1"]),
        (["-s", "R"], ["2"]),
        (["-s", "PD"], ["3"]),
        (["-S", "2023-11-14T22:13:20", "-E", "now", "-s", "R"], ["1", "2"]),
    ],
)
def test_which_jobs_are_in_the_window(argv, ids):
    waiting = a_job(id=3, eligible_at=NOON)
    jobs = [a_done_job(id=1, started_at=NOON, ended_at=NOON + 1), a_job(id=2, state="RUNNING"), waiting, a_job(id=4)]
    assert text_of(jobs, "-X", "-n", "-P", "-o", "jobid", *argv).split() == ids


def test_the_environment_gives_the_fields():
    assert text_of([a_done_job()], "-X", "-n", "-j", "123456", environ={"SACCT_FORMAT": "jobid%4,state"}) == (
        "123+  COMPLETED \n"
    )


def test_the_list_of_fields():
    answer = read("-e")
    assert isinstance(answer, Answer)
    assert answer.stdout.split() == list(sacct_fields.WIDTHS)
    assert answer.stdout.startswith("Account             AdminComment        AllocCPUS           AllocNodes         ")


_LISTED = "-j -o -s -S -E -u -a -X -n -P -p -b -l -e --units --name 12 12.batch jobid%3 state now R,CD"
_WORDS = _LISTED.split()


@given(st.lists(st.one_of(st.sampled_from(_WORDS), st.text(max_size=10)), max_size=6))
def test_any_command_line_gives_a_query_or_an_answer(argv):
    query = read(*argv)
    if isinstance(query, sacct.Query):
        assert isinstance(sacct.render(query, sacct.rows_of(query, [a_done_job(), a_job()], []), a_view()), Answer)


def test_what_cannot_start_yet_is_found_by_its_id_alone():
    held, later = a_job(id=5), a_job(id=6, begin_at=NOON + 3600)
    day = ("-X", "-n", "-P", "-o", "jobid", "-S", "2023-11-14")
    assert text_of([held, later], *day) == ""
    assert text_of([held, later], *day, "-E", "now+2hours") == "6\n"
    assert text_of([held, later], *day, "-j", "5,6") == "5\n6\n"


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (["-i", "1"], True),
        (["-i", "2-4"], False),
        (["-I", "1-3"], True),
        (["-I", "2"], False),
        (["-k", "30"], True),
        (["-k", "5"], False),
        (["-k", "5", "-K", "60"], True),
        (["-K", "5"], True),
        (["-R", "nonzeroexitcode"], False),
        (["-R", "None"], True),
        (["-F", "SchedMain,StartReceived"], True),
        (["-F", "SchedBackfill"], False),
        (["-x", "3"], False),
    ],
)
def test_filters_by_size_limit_reason_flags_and_association(argv, found):
    job = a_done_job(time_limit_seconds=1800)
    assert text_of([job], "-X", "-n", "-P", "-o", "jobid", "-j", "123456", *argv) == ("123456\n" if found else "")


@pytest.mark.parametrize(
    ("argv", "stderr"),
    [
        (["-i", "x"], 'sacct: error: Invalid numeric value "x" for requested node range.\n'),
        (["-I", "1-x"], 'sacct: error: Invalid numeric value "1-x" for requested cpu range.\n'),
        (["-k", "x"], "sacct: fatal: Invalid time limit specification\n"),
        (["-R", "list"], "sacct: fatal: unrecognized job reason value 'list'\n"),
        (["-F", "bogus"], "sacct: error: str_2_job_flags: Invalid job flag bogus\n"),
        (["-c"], "Slurm job completion is disabled\n"),
        (
            ["-S", "2031-01-01", "-E", "2030-01-01"],
            "sacct: error: Start time (2031-01-01T00:00:00) requested is after end time (2030-01-01T00:00:00).\n",
        ),
        (
            ["-l", "-o", "jobid"],
            "sacct: fatal: Options -o(--format) and -l(--long) are mutually exclusive. Please remove one and retry.\n",
        ),
        (
            ["-B"],
            "sacct: fatal: When requesting job scripts you must also request specific jobs with the '-j' option.\n",
        ),
    ],
)
def test_filters_that_cannot_be_read(argv, stderr):
    answer = read(*argv)
    assert (answer.stderr, answer.exit_code) == (stderr, 1)


def test_names_as_accounting_keeps_them():
    names = ['say "x"', "", "m" * 300]
    jobs = [a_done_job(id=number, asked={"name": name}) for number, name in enumerate(names, start=1)]
    shown = text_of(jobs, "-X", "-n", "-P", "-j", "1,2,3", "-o", "jobname")
    assert shown.splitlines() == ["say `x`", "allocation", "m" * 255]
