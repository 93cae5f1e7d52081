"""squeue's texts. Expected outputs are those of 25.11 (tests/slurm-oracle.jsonl, group queries), ids aside."""

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import squeue
from adapters.slurm.answer import Answer
from bridge.core import placement
from bridge.core.forecast import Start
from bridge.core.indexset import IndexSet, parse
from bridge.core.job import End, JobKey, JobState, Share
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS, Gres
from tests.builders import NOON, a_job, an_array
from tests.slurm.views import ASKER, a_view, queue_text

HEADER = "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n"


def refusal(*argv: str) -> Answer:
    answer = squeue.read(argv, {}, ASKER)
    assert isinstance(answer, Answer)
    return answer


def a_held_job(**fields: object):
    asked = {"name": "job.sh", "account": "physics", **fields.pop("asked", {})}  # type: ignore[dict-item]
    return a_job(id=123456, priority=0, reason=Reason.HELD_USER, asked=asked, **fields)


def a_running_job():
    shares = (Share("n1", 1, 256, 1), Share("n2", 1, 256, 1))
    asked = {"name": "job.sh", "account": "physics", "nodes_min": 2}
    return a_job(id=123456, state="RUNNING", nodes=shares, asked=asked)


def test_the_default_listing():
    assert queue_text([a_held_job()]) == (
        HEADER + "            123456      main   job.sh    alice PD       0:00      1 (JobHeldUser)\n",
        "",
    )


def test_the_long_listing_has_the_date_above():
    assert queue_text([a_held_job()], "-l")[0] == (
        "Tue Nov 14 22:15:00 2023\n"
        "             JOBID PARTITION     NAME     USER    STATE       TIME TIME_LIMI  NODES NODELIST(REASON)\n"
        "            123456      main   job.sh    alice  PENDING       0:00     30:00      1 (JobHeldUser)\n"
    )


def test_start_shows_waiting_jobs_only():
    assert queue_text([a_held_job()], "--start")[0] == (
        "             JOBID PARTITION     NAME     USER ST          START_TIME  NODES SCHEDNODES           "
        "NODELIST(REASON)\n"
        "            123456      main   job.sh    alice PD                 N/A      1 (null)               "
        "(JobHeldUser)\n"
    )


def test_waiting_jobs_are_shown_with_their_expected_starts():
    job = a_job(id=12, time_limit_seconds=600)
    array = a_job(id=13, waiting=parse("0-3"), time_limit_seconds=UNLIMITED_SECONDS, asked={"array": an_array("0-3")})
    starts = {JobKey(12): Start(NOON + 500, ("n1", "n2")), JobKey(13, 0): Start(NOON + 900, ("n1",))}
    view = dataclasses.replace(a_view(), starts=starts)
    query = squeue.read(["-h", "-S", "S", "-o", "%i|%S|%e|%Y|%r"], {}, ASKER)
    assert squeue.render(query, [a_held_job(), array, job], view).stdout == (
        "12|2023-11-14T22:21:40|2023-11-14T22:31:40|n[1-2]|None\n"
        "13_[0-3]|2023-11-14T22:28:20|N/A|n1|None\n"
        "123456|N/A|N/A|(null)|JobHeldUser\n"
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], False),
        (["-o", "%i %T %R"], False),
        (["-O", "jobid,state"], False),
        (["--start"], True),
        (["-o", "%.19S"], True),
        (["-o", "%all"], True),
        (["-O", "jobid,StartTime:30"], True),
        (["-S", "-S"], True),
    ],
)
def test_starts_are_worked_out_only_where_they_show(argv, expected):
    assert squeue.shows_starts(squeue.read(argv, {}, ASKER)) is expected


def test_a_running_job_by_letters():
    text, _ = queue_text([a_running_job()], "-h", "-o", "%T|%t|%D|%N|%R|%B|%C|%m|%l|%P|%j|%u|%a|%q|%f|%h|%M")
    assert text == "RUNNING|R|2|n[1-2]|n[1-2]|n1|2|256M|30:00|main|job.sh|alice|physics|normal|(null)|OK|1:39\n"


def test_a_running_job_by_long_names():
    names = "State,StateCompact,NumNodes,NodeList,ReasonList,BatchHost,NumCPUs,MinMemory,TimeLimit,tres-alloc:40"
    assert queue_text([a_running_job()], "-h", "-O", names)[0] == (
        "RUNNING             R                   2                   n[1-2]              n[1-2]              "
        "n1                  2                   256M                30:00               "
        "cpu=2,mem=512M,node=2,billing=2         \n"
    )


def test_a_bad_letter_is_named_and_the_rest_is_printed():
    assert queue_text(
        [a_held_job(time_limit_seconds=3900, asked={"name": "fmt"})], "-o", "%.8i %.3j|%5t|%-6P|%10l|"
    ) == (
        "   JOBID NAM|ST   |%-6P|TIME_LIMIT|\n  123456 fmt|PD   |%-6P|1:05:00   |\n",
        "squeue: error: Invalid job format specification: -\n",
    )


def test_a_bad_long_name_is_named_and_the_rest_is_printed():
    assert queue_text([a_held_job()], "-O", "jobid:8,bogus") == (
        "JOBID   \n123456  \n",
        "squeue: error: Invalid job format specification: bogus\n",
    )


@pytest.mark.parametrize(
    ("format_text", "expected"),
    [
        ("JobID:10,Name:.6,TimeLimit:|", "123456    job.sh30:00|\n"),
        ("name:3,jobid:.8,state:|,jobid:10X", "job  123456PENDING|123456    X\n"),
        ("name:0,jobid:x", "job.sh123456x\n"),
    ],
)
def test_widths_and_ends_of_long_names(format_text, expected):
    assert queue_text([a_held_job()], "-h", "-O", format_text)[0] == expected


def test_text_around_the_letters_is_copied():
    assert queue_text([a_held_job()], "-h", "-o", "x%Ty")[0] == "xPENDINGy\n"


def test_every_letter_and_name_prints():
    by_letters, errors = queue_text([a_held_job(), a_running_job()], "-o", "%all")
    assert (by_letters.count("\n"), errors) == (3, "")
    assert by_letters.startswith("ACCOUNT|TRES_PER_NODE|MIN_CPUS|MIN_TMP_DISK|END_TIME|FEATURES|GROUP|")
    names = squeue.squeue_help.TEXTS["helpFormat"].split()
    _, errors = queue_text([a_held_job(), a_running_job()], "-O", ",".join(names))
    assert errors == ""


def test_waiting_tasks_are_one_row():
    array = a_held_job(asked={"array": "0-9%2", "name": "job.sh"})
    assert queue_text([array], "-h", "-o", "%i %A %F %K")[0] == "123456_[0-9%2] 123456 123456 0-9%2\n"


def test_r_gives_each_waiting_task_a_row_under_the_arrays_id():
    array = a_held_job(asked={"array": "1-3", "name": "job.sh"})
    assert queue_text([array], "-h", "-r", "-S", "i", "-o", "%i %A %F %K")[0] == (
        "123456_1 123456 123456 1\n123456_2 123456 123456 2\n123456_3 123456 123456 3\n"
    )


SQUARES = "1,4,9,16,25,36,49,64,81,100,121,144,169,196,225,256,289,324,361,400,441,484,529,576,625,676,729,784,841,900"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "123456_[1,4,9,16,25,36,49,64,81"),
        ({"SLURM_BITSTR_LEN": "0"}, f"123456_[{SQUARES}]"),
        ({"SLURM_BITSTR_LEN": "20"}, "123456_[1,4,9,16,25,36,4...]"),
    ],
)
def test_a_long_list_of_tasks_is_cut(environ, expected):
    array = a_held_job(asked={"array": SQUARES})
    assert queue_text([array], "-h", "-o", "%i", environ=environ)[0] == expected + "\n"


def test_steps_of_an_array_are_written_short():
    assert queue_text([a_held_job(asked={"array": "0-900:2"})], "-h", "-o", "%i")[0] == "123456_[0-900:2]\n"


def test_one_task_of_a_waiting_array_can_be_asked_for():
    array = a_held_job(asked={"array": "3-9:2"})
    assert queue_text([array], "-h", "-j", "123456_3", "-o", "%i")[0] == "123456_3\n"
    assert queue_text([array], "-h", "-j", "123456_[3,5]", "-o", "%i")[0] == "123456_[3,5]\n"
    assert queue_text([array], "-h", "-j", "123456_77", "-o", "%i")[0] == ""


@pytest.mark.parametrize(("mib", "shown"), [(1536, "1.50G"), (2048, "2G"), (0, "0"), (256, "256M"), (3000, "2.93G")])
def test_memory(mib, shown):
    assert queue_text([a_held_job(asked={"memory_per_node_mib": mib})], "-h", "-o", "%m")[0] == shown + "\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (93785, "1-02:04:00|1-02:04:00|0:00"),
        (UNLIMITED_SECONDS, "UNLIMITED|UNLIMITED|0:00"),
        (3540, "59:00|59:00|0:00"),
    ],
)
def test_time_limits(seconds, shown):
    assert queue_text([a_held_job(time_limit_seconds=seconds)], "-h", "-o", "%l|%L|%M")[0] == shown + "\n"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"nodes_min": 2}, "2|2"),
        ({}, "1|1"),
        ({"tasks": 20}, "3|20"),
        ({"tasks": 200}, "25|200"),
        ({"cpus_per_task": 100}, "1|100"),
        ({"tasks": 729, "sockets_per_node": 9, "cores_per_socket": 9, "threads_per_core": 9}, "92|729"),
        ({"gres_per_job": (Gres("gpu", None, 8),), "tasks_per_gpu": 2}, "2|16"),
        ({"nodes_min": 0}, "0|0"),
        ({"nodes_min": 0, "nodes_max": 3, "cpus_per_task": 3}, "0|3"),
        ({"nodes_min": 0, "tasks": 3}, "1|3"),
    ],
)
def test_nodes_and_cpus_of_waiting_jobs(asked, shown):
    assert queue_text([a_held_job(asked=asked)], "-h", "-o", "%D|%C")[0] == shown + "\n"


def test_a_waiting_job_shows_all_its_partitions_the_higher_tier_first():
    job = dataclasses.replace(a_held_job(asked={"partitions": ("main", "short")}), priority=1)
    assert queue_text([job], "-h", "-o", "%P|%.9P")[0] == "short,main|short,mai\n"


def test_a_held_job_shows_its_partitions_as_they_were_asked_for():
    job = a_held_job(asked={"partitions": ("main", "short")})
    assert queue_text([job], "-h", "-o", "%P")[0] == "main,short\n"


def test_a_waiting_job_has_a_row_for_each_partition_where_that_is_asked_for():
    job = a_held_job(asked={"partitions": ("main", "short")})
    assert queue_text([job], "-h", "-P", "-o", "%i %P")[0] == "123456 main\n123456 short\n"
    assert queue_text([job], "-h", "-P", "-p", "short", "-o", "%i %P")[0] == "123456 short\n"


def test_a_job_of_gpus():
    job = a_held_job(asked={"gres_per_node": (Gres("gpu", "a100", 2),)})
    assert queue_text([job], "-h", "-o", "%b")[0] == "gres/gpu:a100:2\n"


def test_a_failed_job_shows_its_reason_a_completed_one_its_nodes():
    end = {"started_at": NOON, "ended_at": NOON + 9, "nodes": (Share("n1", 1, 256, 1),)}
    failed = a_job(state="FAILED", reason=Reason.NON_ZERO_EXIT, end=End(exit_status=3), **end)
    done = a_job(id=13, state="COMPLETED", end=End(), **end)
    text, _ = queue_text([failed, done], "-t", "all", "-S", "i", "-h", "-o", "%i %T %R %r %M")
    assert text == "12 FAILED (NonZeroExitCode) NonZeroExitCode 0:09\n13 COMPLETED n1 None 0:09\n"


@pytest.mark.parametrize(
    ("letters", "line"),
    [("%5|", "%5|"), ("%1%", "N"), ("%.5", "  N/A"), ("a%5b%", "aN/A  "), ("%5%T", "N/A  TPENDING"), ("%%", "")],
)
def test_a_width_without_a_letter_is_the_first_column_without_one(letters, line):
    assert queue_text([a_held_job()], "-h", "-o", letters)[0] == f"{line}\n"


def test_reasons_in_slurms_words():
    killed = a_job(state="FAILED", reason=Reason.RAISED_SIGNAL, end=End(signal=9), ended_at=NOON)
    held = a_job(reason=Reason.REQUEUED_HELD)
    special = a_job(state="SPECIAL_EXIT", reason=Reason.REQUEUED_HELD)
    drained = a_job(reason=Reason.NODES_NOT_AVAILABLE, reason_detail="n4")
    behind = a_job(reason=Reason.NODES_NOT_AVAILABLE, reason_detail=placement.RESERVED)
    shown = [queue_text([job], "-t", "all", "-h", "-o", "%r")[0] for job in (killed, held, special, drained, behind)]
    assert shown == [
        "RaisedSignal:9(Killed)\n",
        "job requeued in held state\n",
        "job requeued in special exit state\n",
        "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions\n",
        "ReqNodeNotAvail, May be reserved for other job\n",
    ]


def test_the_default_order_is_partition_state_priority_and_the_newest_first():
    jobs = [
        a_job(id=1, partition="main", priority=0, reason=Reason.HELD_USER),
        a_job(id=2, partition="gpu", state="RUNNING"),
        a_job(id=3, partition="main", priority=1),
        a_job(id=4, partition="main", priority=0, reason=Reason.HELD_USER),
        a_job(id=5, partition="main", state="RUNNING"),
    ]
    assert queue_text(jobs, "-h", "-o", "%A")[0].split() == ["2", "3", "4", "1", "5"]


@pytest.mark.parametrize(
    ("sort", "order"), [("j", "ab"), ("-j", "ba"), ("i", "ba"), ("-i", "ab"), ("u,-j", "ba"), ("zz", "ab")]
)
def test_sorting(sort, order):
    jobs = [a_job(id=1, asked={"name": "b"}), a_job(id=2, asked={"name": "a"})]
    assert "".join(queue_text(jobs, "-h", "-S", sort, "-o", "%j")[0].split()) == order


def test_times_are_those_of_the_asking_users_zone():
    job = a_job()
    assert queue_text([job], "-h", "-o", "%V", environ={"TZ": "Asia/Tokyo"})[0] == "2023-11-15T07:13:20\n"
    assert queue_text([job], "-h", "-o", "%V", environ={"SLURM_TIME_FORMAT": "%H:%M"})[0] == "22:13\n"
    assert queue_text([job], "-h", "-o", "%V", environ={"SLURM_TIME_FORMAT": "relative"})[0] == "22:13:20\n"


def test_variables_lose_to_options():
    job = a_held_job()
    environ = {"SQUEUE_FORMAT": "%i", "SQUEUE_FORMAT2": "state"}
    assert queue_text([job], "-h", environ=environ)[0] == "123456\n"
    assert queue_text([job], "-h", "-o", "%T", environ=environ)[0] == "PENDING\n"
    assert queue_text([job], "-h", environ={"SQUEUE_FORMAT2": "jobid:8,state:"})[0] == "123456  PENDING\n"


def test_filters_read_from_the_command_line():
    query = squeue.read(
        [
            "-u",
            "alice,1002",
            "-t",
            "PD,running",
            "-n",
            "a,b",
            "-p",
            "main",
            "-A",
            "x",
            "-q",
            "y",
            "-w",
            "n[1-2]",
            "-i",
            "5",
        ],
        {},
        ASKER,
    )
    assert isinstance(query, squeue.Query)
    assert query.uids == (1001, 1002)
    assert query.states == {JobState.PENDING, JobState.SPECIAL_EXIT, JobState.RUNNING, JobState.CONFIGURING}
    assert (query.names, query.partitions, query.accounts, query.qos) == (("a", "b"), ("main",), ("x",), ("y",))
    assert (query.nodes, query.iterate_seconds) == (("n1", "n2"), 5)


def test_all_states():
    query = squeue.read(["-t", "ALL"], {}, ASKER)
    assert isinstance(query, squeue.Query)
    assert query.states is None


def test_an_unknown_user_is_named_and_the_rest_is_shown():
    query = squeue.read(["-u", "alice,nosuch"], {}, ASKER)
    assert isinstance(query, squeue.Query)
    assert (query.uids, query.warnings) == ((1001,), "squeue: error: Invalid user: nosuch\n\n")


VALID_STATES = (
    "squeue: error: Valid job states include: pending,running,suspended,completed,cancelled,failed,timeout,"
    "node_fail,preempted,boot_fail,deadline,out_of_memory,completing,configuring,expediting,resizing,"
    "resv_del_hold,requeued,requeue_fed,requeue_hold,revoked,signaling,special_exit,stage_out,stopped\n\n"
)


@pytest.mark.parametrize(
    ("argv", "stderr"),
    [
        (["-j", "abc"], "squeue: error: Invalid job id: abc\n"),
        (["-w", "n77"], "squeue: error: Invalid node name n77\n"),
        (["-k"], "squeue: invalid option -- 'k'\nTry \"squeue --help\" for more information\n"),
        (["--bogus"], "squeue: unrecognized option '--bogus'\nTry \"squeue --help\" for more information\n"),
        (["-u"], "squeue: option requires an argument -- 'u'\nTry \"squeue --help\" for more information\n"),
        (["--user"], "squeue: option '--user' requires an argument\nTry \"squeue --help\" for more information\n"),
        (
            ["--noheader=3"],
            "squeue: option '--noheader' doesn't allow an argument\nTry \"squeue --help\" for more information\n",
        ),
        (
            ["--sta"],
            "squeue: option '--sta' is ambiguous; possibilities: '--start' '--states'\n"
            'Try "squeue --help" for more information\n',
        ),
        (["-o", "%i", "-O", "jobid"], "squeue: error: -O (--Format) is incompatible with -o (--format)\n"),
        (["-t", "PENDING, RUNNING"], "squeue: error: Invalid job state specified:  RUNNING\n" + VALID_STATES),
        (["-i", "0"], "squeue: error: --iterate=0\n\n"),
        (
            ["-t", "SLEEPY"],
            "squeue: error: Invalid job state specified: SLEEPY\n" + VALID_STATES,
        ),
    ],
)
def test_refusals(argv, stderr):
    answer = refusal(*argv)
    assert (answer.stdout, answer.stderr, answer.exit_code) == ("", stderr, 1)


@pytest.mark.parametrize("letter", ["%", "Z", "?"])
def test_an_unknown_sort_key_is_told_below_the_header(letter):
    query = squeue.read(["-S", f"i,{letter}"], {}, ASKER)
    assert isinstance(query, squeue.Query)
    answer = squeue.render(query, [a_held_job()], a_view())
    assert answer == Answer(HEADER, f"squeue: error: Invalid sort specification: {letter}\n", 1)


def test_widths_count_bytes_and_may_cut_a_letter():
    job = a_held_job(asked={"name": "größe-模型"})
    shown = queue_text([job], "-h", "-o", "%j|%.8j|%10j|")[0]
    whole = "größe-模型".encode()
    assert shown.encode("utf-8", "surrogateescape") == b"|".join([whole, whole[:8], whole[:10], b"\n"])


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("jobid:-8,name", "123456 job.sh              \n"),
        ("jobid:-8x,name:3", "123456 xjob\n"),
        ("jobid:-x,name:3", "123456-xjob\n"),
    ],
)
def test_a_negative_width_is_the_value_and_a_blank(names, shown):
    assert queue_text([a_held_job()], "-h", "-O", names)[0] == shown


def test_an_operand_is_refused_with_the_usage():
    answer = refusal("foo")
    assert (answer.stderr, answer.exit_code) == ("squeue: error: Unrecognized option: foo\n", 1)
    assert answer.stdout.startswith("Usage: squeue [-A account]")


def test_the_version():
    assert refusal("-V") == Answer("slurm 25.11.8\n")


_LISTED = "-h -j -o -O -S -t -u -r -l -s -i -w --start --me --json -j1 12 12_3 all PD %i"
_WORDS = _LISTED.split()
WORDS = st.one_of(
    st.sampled_from(
        [
            "-h",
            "-j",
            "-o",
            "-O",
            "-S",
            "-t",
            "-u",
            "-r",
            "-l",
            "-s",
            "-i",
            "-w",
            "--start",
            "--me",
            "--json",
            "-j1",
            "12",
            "12_3",
            "all",
            "PD",
            "%i",
        ]
    ),
    st.text(max_size=12),
)


@given(st.lists(WORDS, max_size=6))
def test_any_command_line_gives_a_query_or_an_answer(argv):
    query = squeue.read(argv, {}, ASKER)
    if isinstance(query, Answer):
        return
    jobs = [a_job(), a_running_job(), a_held_job(asked={"array": "0-9"})]
    shown = [left for job in jobs if (left := squeue.narrowed(query, job)) is not None]
    assert isinstance(squeue.render(query, shown, a_view()), Answer)


@given(st.sets(st.integers(0, 200), min_size=1, max_size=60))
def test_the_list_of_waiting_tasks_reads_back(indices):
    text = ",".join(map(str, sorted(indices)))
    array = a_held_job(asked={"array": text})
    shown, _ = queue_text([array], "-h", "-o", "%i", environ={"SLURM_BITSTR_LEN": "0"})
    inside = shown.partition("[")[2].partition("]")[0]
    assert set(parse(inside)) == indices
    assert isinstance(array.waiting, IndexSet)


def test_five_thousand_waiting_jobs_are_listed_in_40_ms():
    jobs = [a_job(id=number) for number in range(1, 5001)]
    query = squeue.read([], {}, ASKER)
    assert isinstance(query, squeue.Query)
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        squeue.render(query, jobs, a_view())
        took.append(time.perf_counter() - begin)
    assert min(took) < 1  # 0.02 s on an idle machine; work that grows with the square would take minutes


def test_the_letters_of_formats_stand_in_rows_of_eight():
    told = squeue.read(["--helpformat"], {}, ASKER)
    assert isinstance(told, Answer)
    lines = told.stdout.splitlines()
    assert lines[0] == "%a    %F    %K    %B    %o    %k    %O    %I    "
    assert lines[-1] == "%u    %w    %Z    "
