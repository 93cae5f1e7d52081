"""What programs that drive Slurm have in common: how they submit, ask, read columns, and cancel.

No program of others is needed here. Each test does what several of them do, word by word, and reads the answer as
strictly as they read it. All of it was tried on a real Slurm too, as the end-to-end tests are (BRIDGE_E2E_ON=slurm).
"""

import dataclasses
import json
import re
from concurrent import futures
from datetime import datetime, timedelta

import pytest

from tests.e2e import conftest, harness
from tests.e2e.harness import Bridge

each_bridge = conftest.each_bridge
UNKNOWN = "4000000"


@dataclasses.dataclass(frozen=True)
class Jobs:
    """One of each kind, by id; `mark` is in two names, where a cluster may know jobs of earlier runs."""

    mark: str

    good: str
    bad: str
    long: str
    held: str
    array: str
    """Two tasks run, two wait."""

    @property
    def ended(self) -> str:
        return f"{self.good},{self.bad}"

    @property
    def every(self) -> str:
        return f"{self.good},{self.bad},{self.long},{self.held},{self.array}"


@pytest.fixture(scope="module")
def jobs(each_bridge: Bridge) -> Jobs:
    """The first ones are submitted from a file and read from the sentence; their names are what programs make up."""
    mark = each_bridge.root.name[-8:]
    found = Jobs(
        mark=mark,
        good=submitted(each_bridge, f"#SBATCH -J good_{mark}\n#SBATCH --comment='of a program'\nsrun -n1 true"),
        bad=submitted(each_bridge, f"#SBATCH -J rule:align_({mark})\nexit 3"),
        long=str(
            each_bridge.wrap("sleep 600", "-J", "a name of several words", "-t", "90", "-c", "2", "-o", "/dev/null")
        ),
        held=str(each_bridge.wrap("true", "-H", "-J", f"held_{mark}", "-t", "2-00:00:00", "--comment", "run=1;step=2")),
        array=str(each_bridge.wrap("sleep 600", "-a", "1-4%2", "-J", "habit_array", "-o", "/dev/null")),
    )
    for job in (found.good, found.bad):
        each_bridge.wait(job)
    each_bridge.runs(found.long)
    for task in (1, 2):
        each_bridge.runs(f"{found.array}_{task}")
    return found


def submitted(bridge: Bridge, body: str) -> str:
    """As most programs do: a file, and the last word of the one line that comes back."""
    file = bridge.work / "habit.sh"
    file.write_text(f"#!/bin/bash\n#SBATCH --output=/dev/null\n{body}\n")
    out = bridge.ok("sbatch", "habit.sh")
    found = re.fullmatch(r"Submitted batch job (\d+)\n", out)
    assert found is not None, out
    return found[1]


def table(out: str, separator: str | None = None) -> dict[str, list[str]]:
    """Rows by their first column."""
    rows = [line.split(separator) for line in out.splitlines()]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


# ── squeue ────────────────────────────────────────────────────────────────────────────────────────


def test_states_of_all_ones_jobs_in_two_columns(each_bridge: Bridge, jobs: Jobs) -> None:
    """Ended ones too; a row for each task of an array that runs, one for all that wait."""
    user = each_bridge.user.name
    found = table(each_bridge.ok("squeue", "--noheader", "-o", "%i %t", "-t", "all", "-u", user))
    wanted = {jobs.good: "CD", jobs.bad: "F", jobs.long: "R", jobs.held: "PD"}
    tasks = {f"{jobs.array}_1": "R", f"{jobs.array}_2": "R", f"{jobs.array}_[3-4%2]": "PD"}
    assert {
        job: state for job, (state,) in found.items() if job.split("_")[0] in jobs.every.split(",")
    } == wanted | tasks
    one_each = table(each_bridge.ok("squeue", "--me", "-o", "%i %T", "-h", "-r", "-t", "PENDING"))
    assert {f"{jobs.array}_3", f"{jobs.array}_4", jobs.held} <= set(one_each)


def test_the_default_table_has_the_columns_that_people_cut(each_bridge: Bridge, jobs: Jobs) -> None:
    head, row = each_bridge.ok("squeue", "-j", jobs.long).splitlines()
    assert head == "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)"
    assert re.fullmatch(rf" +{jobs.long} +main a name o +\S{{1,8}}  R +\d+:\d\d      1 n\d", row), row
    assert each_bridge.ok("squeue", "-h", "-j", jobs.held).endswith(" 1 (JobHeldUser)\n")


@pytest.mark.parametrize("separator", ["|", "^^^", "\x1f", "<><>"])
def test_separators_of_ones_own_between_many_columns(each_bridge: Bridge, jobs: Jobs, separator: str) -> None:
    """Times in the way that is asked for, no cell cut, and as many cells as letters."""
    letters = [*"itTrBuDCRPlMSjVakQe"]
    out = each_bridge.ok(
        *("squeue", "--noheader", "-o", separator.join(f"%{letter}" for letter in letters), "--states=all"),
        *("--noconvert", "-j", f"{jobs.long},{jobs.held}"),
        env={"SLURM_TIME_FORMAT": "standard"},
    )
    rows = {
        row[0]: dict(zip(letters, row, strict=True)) for row in (line.split(separator) for line in out.splitlines())
    }
    running, held = rows[jobs.long], rows[jobs.held]
    assert (running["t"], running["T"], running["C"], running["D"], running["P"]) == ("R", "RUNNING", "2", "1", "main")
    assert (running["j"], running["l"], running["r"]) == ("a name of several words", "1:30:00", "None")
    assert running["B"] == running["R"] and running["R"].startswith("n")
    assert datetime.fromisoformat(running["S"]) >= datetime.fromisoformat(running["V"])
    assert (held["t"], held["r"], held["R"], held["l"]) == ("PD", "JobHeldUser", "(JobHeldUser)", "2-00:00:00")
    assert (held["S"], held["B"], held["k"], held["M"]) == ("N/A", "n/a", "run=1;step=2", "0:00")


def test_widths_cut_and_fill(each_bridge: Bridge, jobs: Jobs) -> None:
    name = "a name of several words"
    assert each_bridge.ok("squeue", "-h", "-j", jobs.long, "--format=%2t%100j|") == f"R {name:<100}|\n"
    assert each_bridge.ok("squeue", "-h", "-j", jobs.long, "-o", "%.18i|%.15j|%5t|") == (
        f"{jobs.long:>18}|{name[:15]}|R    |\n"
    )
    out = each_bridge.ok("squeue", "-h", "-j", jobs.long, "-O", "JobID:12,StateCompact:.5,Name:6,Partition:|,NumCPUs:")
    assert out.split("|")[0] == f"{jobs.long:<12}    Ra namemain"


def test_long_names_of_columns(each_bridge: Bridge, jobs: Jobs) -> None:
    out = each_bridge.ok("squeue", "-h", "--states=all", "-j", jobs.every, "-O", "JobArrayID:30,State:30,Reason:40")
    found = {line[:30].strip(): (line[30:60].strip(), line[60:].strip()) for line in out.splitlines()}
    assert found[jobs.good] == ("COMPLETED", "None")
    assert found[jobs.bad] == ("FAILED", "NonZeroExitCode")
    assert found[f"{jobs.array}_1"] == ("RUNNING", "None")
    assert found[f"{jobs.array}_[3-4%2]"] == ("PENDING", "JobArrayTaskLimit")


def test_an_unknown_id_alone_is_an_error_and_among_others_nothing(each_bridge: Bridge, jobs: Jobs) -> None:
    """Who asks for one job says its id twice, so that no error comes when it is gone."""
    alone = each_bridge.run("squeue", "-h", "-j", UNKNOWN)
    assert alone == harness.Ran("", "slurm_load_jobs error: Invalid job id specified\n", 1)
    assert each_bridge.run("squeue", "-h", f"--jobs={UNKNOWN},{UNKNOWN}") == harness.Ran("", "", 0)
    both = each_bridge.run("squeue", "-h", "-o", "%i", "-j", f"{UNKNOWN},{jobs.long}")
    assert both == harness.Ran(f"{jobs.long}\n", "", 0)
    assert each_bridge.run("squeue", "-h", "-o", "%.18i %.2t", "-j", jobs.good) == harness.Ran("", "", 0)


def test_jobs_by_name_comment_and_partition(each_bridge: Bridge, jobs: Jobs) -> None:
    ask = ("squeue", "--noheader", "--states=all", "--format=%i|%T")
    assert each_bridge.ok(*ask, "--name", f"rule:align_({jobs.mark})") == f"{jobs.bad}|FAILED\n"
    assert (
        each_bridge.ok(*ask, "--name", f"good_{jobs.mark},held_{jobs.mark}", "--sort=i")
        == f"{jobs.good}|COMPLETED\n{jobs.held}|PENDING\n"
    )
    assert each_bridge.ok(*ask, "--name", "nobody's") == ""
    assert each_bridge.ok(*ask, "-p", "short", "--name", f"held_{jobs.mark}") == ""


def test_every_letter_between_separators_of_records_and_units(each_bridge: Bridge, jobs: Jobs) -> None:
    """A portal's question: one record for each job, told apart by control characters, with nothing converted."""
    letters = "aABcCdDeEfFgGhHiIjJkKlLmMnNoOpqPQrStTuUvVwWxXyYzZb"
    form = "\x1e" + "\x1f".join(f"%{letter}" for letter in letters)
    out = each_bridge.ok(
        "squeue", "--all", "--states=all", "--noconvert", "-h", "-o", form, "-j", f"{jobs.long},{jobs.bad}"
    )
    records = [dict(zip(letters, record.rstrip("\n").split("\x1f"), strict=True)) for record in out.split("\x1e")[1:]]
    found = {record["A"]: record for record in records}
    assert set(found) == {jobs.long, jobs.bad}
    running = found[jobs.long]
    assert (running["u"], running["U"]) == (each_bridge.user.name, str(each_bridge.user.uid))
    assert (running["C"], running["c"], running["m"], running["Z"]) == ("2", "2", "256M", str(each_bridge.work))
    assert (running["b"], running["v"], running["F"], running["K"]) == ("N/A", "(null)", jobs.long, "N/A")
    assert found[jobs.bad]["o"].endswith("/habit.sh") and found[jobs.bad]["T"] == "FAILED"


def test_state_and_host_of_one_job(each_bridge: Bridge, jobs: Jobs) -> None:
    """What a server of notebooks asks until there is a host to go to."""
    assert re.fullmatch(r"RUNNING n\d\n", each_bridge.ok("squeue", "-h", "-j", jobs.long, "-o", "%T %B"))
    assert each_bridge.ok("squeue", "-h", "-j", jobs.held, "-o", "%T %B") == "PENDING n/a\n"


def test_formats_by_the_environment(each_bridge: Bridge, jobs: Jobs) -> None:
    by_variable = {"SQUEUE_FORMAT": "%i=%t", "SACCT_FORMAT": "jobid,state%10", "SQUEUE_STATES": "all"}
    assert each_bridge.ok("squeue", "-h", "-j", jobs.bad, env=by_variable) == f"{jobs.bad}=F\n"
    assert each_bridge.ok("squeue", "-h", "-j", jobs.bad, "-o", "%T", env=by_variable) == "FAILED\n"
    assert each_bridge.ok("sacct", "-n", "-X", "-j", jobs.bad, env=by_variable) == f"{jobs.bad:<12}     FAILED \n"


def test_json_of_the_queue_has_what_programs_pick(each_bridge: Bridge, jobs: Jobs) -> None:
    told = json.loads(each_bridge.ok("squeue", "--json", "-j", f"{jobs.long},{jobs.held}"))
    assert told["errors"] == [] and {"meta", "warnings", "last_update"} <= set(told)
    found = {str(job["job_id"]): job for job in told["jobs"]}
    assert set(found) == {jobs.long, jobs.held}
    assert (found[jobs.long]["job_state"], found[jobs.held]["job_state"]) == (["RUNNING"], ["PENDING"])
    assert found[jobs.long]["name"] == "a name of several words"
    assert found[jobs.long]["time_limit"] == {"set": True, "infinite": False, "number": 90}
    assert (found[jobs.held]["comment"], found[jobs.held]["state_reason"]) == ("run=1;step=2", "JobHeldUser")
    assert found[jobs.long]["nodes"].startswith("n") and found[jobs.held]["nodes"] == ""


# ── sacct ─────────────────────────────────────────────────────────────────────────────────────────


def test_several_jobs_in_one_question_of_sacct(each_bridge: Bridge, jobs: Jobs) -> None:
    out = each_bridge.ok("sacct", "-X", "--noheader", "--format=jobid,state%20", "--job", f"{jobs.every},{UNKNOWN}")
    assert all(len(line) == 12 + 1 + 20 + 1 for line in out.splitlines())
    found = table(out)
    assert (found[jobs.good], found[jobs.bad], found[jobs.held]) == (["COMPLETED"], ["FAILED"], ["PENDING"])
    assert found[f"{jobs.array}_1"] == ["RUNNING"] and found[f"{jobs.array}_[3-4%2]"] == ["PENDING"]


def test_exit_codes_ends_and_nodes_by_pipes(each_bridge: Bridge, jobs: Jobs) -> None:
    """Read by one pattern for each line; lines of steps are passed over."""
    today = datetime.now().strftime("%Y-%m-%d")
    out = each_bridge.ok("sacct", "-S", today, "-P", "-j", jobs.every, "-o", "jobid,state,exitcode,end,nodelist")
    head, *rows = out.splitlines()
    assert head == "JobID|State|ExitCode|End|NodeList"
    pattern = re.compile(r"(\d+)\|([A-Z]+)[^|]*\|(\d+):(\d+)\|(\S+)\|(.*)")
    found = {match[1]: match.groups()[1:] for match in map(pattern.fullmatch, rows) if match}
    assert found[jobs.bad][:3] == ("FAILED", "3", "0")
    assert found[jobs.long][3] == "Unknown" and found[jobs.long][4].startswith("n")
    assert found[jobs.held][3:] == ("Unknown", "None assigned")
    datetime.fromisoformat(found[jobs.good][3])


def test_steps_have_rows_of_their_own(each_bridge: Bridge, jobs: Jobs) -> None:
    rows = each_bridge.ok(
        "sacct", "-n", "-P", "-j", jobs.good, "--format", "JobIDRaw,JobName,State,ExitCode"
    ).splitlines()
    assert rows == [
        f"{jobs.good}|good_{jobs.mark}|COMPLETED|0:0",
        f"{jobs.good}.batch|batch|COMPLETED|0:0",
        f"{jobs.good}.0|true|COMPLETED|0:0",
    ]


def test_all_fields_by_the_list_that_sacct_gives_of_them(each_bridge: Bridge, jobs: Jobs) -> None:
    fields = each_bridge.ok("sacct", "--helpformat").split()
    head, row, *_ = each_bridge.ok(
        "sacct", f"--format={','.join(fields)}", "--parsable", "--jobs", jobs.good
    ).splitlines()
    assert head == "|".join(fields) + "|"
    cells = dict(zip(fields, row.split("|"), strict=False))
    assert row.count("|") == len(fields)
    assert (cells["JobName"], cells["State"], cells["Partition"]) == (f"good_{jobs.mark}", "COMPLETED", "main")
    assert cells["User"] == each_bridge.user.name and cells["WorkDir"] == str(each_bridge.work)


def test_ones_jobs_by_name_in_a_span_of_time(each_bridge: Bridge, jobs: Jobs) -> None:
    since = f"{datetime.now() - timedelta(hours=1):%Y-%m-%dT%H:00}"
    ask = (
        "sacct",
        "-X",
        "--parsable2",
        "--clusters",
        "all",
        "--noheader",
        "--format=JobIdRaw,State",
        "--endtime",
        "now",
    )
    assert each_bridge.ok(*ask, "--starttime", since, "--name", f"good_{jobs.mark}") == f"{jobs.good}|COMPLETED\n"
    assert each_bridge.ok(*ask, "--starttime", "now-2days", "--name", "nobody's") == ""


def test_widths_to_either_side_and_separators(each_bridge: Bridge, jobs: Jobs) -> None:
    out = each_bridge.ok("sacct", "-j", jobs.long, "-n", "-X", "-o", "nodelist%-256")
    assert re.fullmatch(r"n\d +\n", out) and len(out) == 258
    assert (
        each_bridge.ok("sacct", "-X", "-n", "-j", jobs.bad, "-o", "jobname%6,state%-12,exitcode%5")
        == "rule:+ FAILED         3:0 \n"
    )
    out = each_bridge.ok("sacct", "-X", "-n", "-P", "--delimiter=;;", "-j", jobs.bad, "-o", "jobid,state,exitcode")
    assert out == f"{jobs.bad};;FAILED;;3:0\n"


def test_what_reports_of_efficiency_read(each_bridge: Bridge, jobs: Jobs) -> None:
    fields = "JobID,JobIDRaw,State,AllocCPUS,REQMEM,TotalCPU,Elapsed,MaxRSS,ExitCode,NNodes,NTasks,Timelimit"
    rows = [
        dict(zip(fields.split(","), row.split("|"), strict=True))
        for row in each_bridge.ok("sacct", "-P", "-n", "-a", "--format", fields, "-j", jobs.good).splitlines()
    ]
    assert [row["JobID"] for row in rows] == [jobs.good, f"{jobs.good}.batch", f"{jobs.good}.0"]
    job, batch, step = rows
    assert (job["AllocCPUS"], job["REQMEM"], job["NNodes"], job["Timelimit"]) == ("1", "256M", "1", "00:30:00")
    assert (job["MaxRSS"], job["NTasks"], batch["NTasks"], step["NTasks"]) == ("", "", "1", "1")
    for row in rows:
        assert re.fullmatch(r"(\d+-)?\d\d:\d\d(:\d\d)?(\.\d{3})?", row["TotalCPU"]), row
        assert re.fullmatch(r"(\d+-)?\d\d:\d\d:\d\d", row["Elapsed"]), row
        assert re.fullmatch(r"(\d+K)?", row["MaxRSS"]), row


def test_json_of_the_history_has_what_programs_pick(each_bridge: Bridge, jobs: Jobs) -> None:
    told = json.loads(each_bridge.ok("sacct", "--json", "-j", f"{jobs.bad},{jobs.good}"))
    found = {str(job["job_id"]): job for job in told["jobs"]}
    assert (found[jobs.good]["state"]["current"], found[jobs.bad]["state"]["current"]) == (["COMPLETED"], ["FAILED"])
    assert found[jobs.bad]["exit_code"]["return_code"] == {"set": True, "infinite": False, "number": 3}
    assert found[jobs.good]["comment"]["job"] == "of a program"
    assert [step["step"]["name"] for step in found[jobs.good]["steps"]] == ["batch", "true"]


def test_an_unknown_id_has_no_rows(each_bridge: Bridge) -> None:
    assert each_bridge.run("sacct", "-n", "-P", "-j", UNKNOWN, "-o", "state") == harness.Ran("", "", 0)
    assert each_bridge.ok("sacct", "-P", "-j", UNKNOWN, "-o", "jobid,state") == "JobID|State\n"


# ── scontrol and sinfo ────────────────────────────────────────────────────────────────────────────


def test_a_job_shown_in_one_line(each_bridge: Bridge, jobs: Jobs) -> None:
    out = each_bridge.ok("scontrol", "show", "job", "-o", jobs.bad)
    assert out.count("\n") == 1
    words = dict(word.split("=", 1) for word in out.split(" SubmitLine=")[0].split())
    assert (words["JobId"], words["JobName"], words["JobState"]) == (jobs.bad, f"rule:align_({jobs.mark})", "FAILED")
    assert (words["ExitCode"], words["Restarts"], words["NumCPUs"], words["CPUs/Task"]) == ("3:0", "0", "1", "1")
    assert words["UserId"].startswith(f"{each_bridge.user.name}({each_bridge.user.uid})")


def test_records_of_all_jobs_begin_with_their_id_and_end_with_a_blank_line(each_bridge: Bridge, jobs: Jobs) -> None:
    blocks = [block for block in each_bridge.ok("scontrol", "show", "job").split("\n\n") if block.strip()]
    found = {re.match(r"JobId=(\d+) ", block)[1]: harness.read_record(block) for block in blocks}  # type: ignore[index]
    assert {found[job]["JobState"] for job in (jobs.good, jobs.bad, jobs.long, jobs.held)} == {
        *("COMPLETED", "FAILED", "RUNNING", "PENDING")
    }
    assert found[jobs.held]["Comment"] == "run=1;step=2"
    unknown = each_bridge.run("scontrol", "show", "job", UNKNOWN)
    assert unknown == harness.Ran("", "slurm_load_jobs error: Invalid job id specified\n", 1)


def test_nodes_and_partitions_a_line_each(each_bridge: Bridge) -> None:
    """Plural names are understood, and so is -a before the verb."""
    lines = each_bridge.ok("scontrol", "-a", "show", "-o", "nodes").splitlines()
    nodes = {re.match(r"NodeName=(\S+)", line)[1]: line for line in lines}  # type: ignore[index]
    assert set(nodes) == {"n1", "n2", "n3", "n4"}
    for name, line in nodes.items():
        for key in ("State", "Partitions", "ActiveFeatures", "CPUTot", "RealMemory", "NodeHostName"):
            assert re.search(rf" {key}=\S+", line), f"{name} has no {key}"
    assert re.search(r" ActiveFeatures=intel,ib ", nodes["n1"]) and re.search(r" Partitions=\S*short", nodes["n1"])
    assert each_bridge.ok("scontrol", "-a", "show", "-o", "nodes", "n[2-3]").count("\n") == 2
    partitions = each_bridge.ok("scontrol", "-a", "show", "-o", "partitions").splitlines()
    assert [re.match(r"PartitionName=(\S+)", line)[1] for line in partitions if " Default=YES " in line] == ["main"]  # type: ignore[index]
    assert each_bridge.ok("scontrol", "show", "hostname", "n[1-2,4]") == "n1\nn2\nn4\n"


def test_partitions_with_their_limits(each_bridge: Bridge) -> None:
    assert each_bridge.ok("sinfo", "-o", "%P").splitlines()[:2] == ["PARTITION", "main*"]
    head, *rows = each_bridge.ok("sinfo", "-a", "-o", "%P %G %l %p %c %m").splitlines()
    assert head == "PARTITION GRES TIMELIMIT PRIO_TIER CPUS MEMORY"
    assert all(len(row.split(" ")) == 6 for row in rows), rows
    assert {row.split(" ")[0]: row.split(" ")[2] for row in rows}["short"] == "5:00"
    free = each_bridge.ok("sinfo", "-h", "-o", "%A/%D/%C", "-p", "main")
    assert re.fullmatch(r"(\d+/\d+/\d+/\d+/\d+/\d+/\d+\n)+", free), free
    assert re.search(r"^MinJobAge +=", each_bridge.ok("scontrol", "show", "config"), re.MULTILINE)


# ── submissions and cancellations ─────────────────────────────────────────────────────────────────


def test_options_of_a_programs_own_headers(each_bridge: Bridge) -> None:
    """Long and short, with and without quotes, more of them than a person would write."""
    header = """#!/bin/bash -ue
#SBATCH -J nf-align_(sample_1)
#SBATCH -o {log}
#SBATCH --no-requeue
#SBATCH --signal B:USR2@30
#SBATCH -c 2
#SBATCH -t 01:00:00
#SBATCH --mem 512M
#SBATCH -p main
#SBATCH --get-user-env
#SBATCH --wckey=submitit
#SBATCH --open-mode=append
#SBATCH --export=NONE
NXF_CHDIR="$PWD"
echo $SLURM_CPUS_PER_TASK
"""
    job = each_bridge.sbatch(script=header.format(log=each_bridge.work / ".command.log"))
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    assert each_bridge.read(".command.log") == "2\n"
    record = each_bridge.job(job)
    assert (record["Requeue"], record["JobName"], record["MinMemoryNode"]) == ("0", "nf-align_(sample_1)", "512M")


def test_a_job_is_there_for_every_command_as_soon_as_its_id_is_known(each_bridge: Bridge) -> None:
    for _ in range(5):
        job = str(each_bridge.wrap("true", "-H"))
        assert each_bridge.ok("squeue", "-h", "-j", job, "-o", "%i") == f"{job}\n"
        assert each_bridge.ok("scontrol", "show", "job", job).startswith(f"JobId={job} ")
        each_bridge.ok("scancel", job)
        assert each_bridge.ok("squeue", "-h", "-j", job) == ""
        assert each_bridge.job(job)["JobState"] == "CANCELLED"


def test_many_are_cancelled_at_once(each_bridge: Bridge) -> None:
    """Ids in one word by commas, in many words, of tasks; ended and unknown ones among them do not stop the rest."""
    first, second, third = (str(each_bridge.wrap("true", "-H")) for _ in range(3))
    array = str(each_bridge.wrap("true", "-H", "-a", "1-9"))
    each_bridge.ok("scancel", first, second, f"{array}_[1-3,5]", f"{array}_9")
    left = each_bridge.ok("squeue", "-h", "-r", "-o", "%i", "-j", f"{first},{second},{third},{array}").split()
    assert sorted(left) == sorted([third, *(f"{array}_{task}" for task in (4, 6, 7, 8))])
    each_bridge.run("scancel", "-Q", first, UNKNOWN, third)
    assert each_bridge.job(third)["JobState"] == "CANCELLED"
    each_bridge.ok("scancel", array)
    assert each_bridge.ok("squeue", "-h", "-r", "-o", "%i", "-j", f"{array},{array}") == ""


def test_cancelled_by_name_user_state_and_partition(each_bridge: Bridge, jobs: Jobs) -> None:
    user = each_bridge.user.name
    ours = [str(each_bridge.wrap("true", "-H", "-J", "sweep", "-p", partition)) for partition in ("main", "short")]
    each_bridge.ok("scancel", "-n", "sweep", "-u", user, "-p", "short")
    assert [each_bridge.state(job) for job in ours] == ["PENDING", "CANCELLED"]
    each_bridge.ok("scancel", "--me", "--state=PENDING", "--name=sweep")
    assert each_bridge.state(ours[0]) == "CANCELLED"
    assert each_bridge.state(jobs.held) == "PENDING"


def test_a_cancellation_that_comes_too_late_is_no_error(each_bridge: Bridge, jobs: Jobs) -> None:
    assert each_bridge.run("scancel", jobs.good).code == 0
    assert each_bridge.run("scancel", "--quiet", jobs.good, UNKNOWN).code == 0
    late = each_bridge.run("scancel", "--signal=USR1", jobs.good)
    assert (late.out, late.code) == ("", 1)
    assert late.err == f"scancel: error: Kill job error on job id {jobs.good}: Invalid job id specified\n"


def test_a_submission_that_waits_ends_with_the_jobs_status(each_bridge: Bridge) -> None:
    done = each_bridge.run("sbatch", "--wait", "--parsable", "-o", "/dev/null", "--wrap", "exit 7")
    assert re.fullmatch(r"\d+\n", done.out) and (done.err, done.code) == ("", 7)


def test_a_job_is_held_changed_and_let_go_by_its_id(each_bridge: Bridge) -> None:
    job = str(each_bridge.wrap("true", "--begin=now+1hour", "-J", "first", "-t", "5", "-o", "/dev/null"))
    each_bridge.ok("scontrol", "hold", job)
    assert each_bridge.ok("squeue", "-h", "-j", job, "-o", "%r") == "JobHeldUser\n"
    each_bridge.ok("scontrol", "update", f"jobid={job}", "name=second", "timelimit=00:04:00", "comment=changed")
    each_bridge.ok("scontrol", "update", f"JobId={job}", "StartTime=now")
    each_bridge.ok("scontrol", "release", job)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    row = each_bridge.ok("sacct", "-X", "-n", "-P", "-j", job, "-o", "jobname,timelimit,comment")
    assert row == "second|00:04:00|changed\n"


def test_the_same_file_many_times_gives_as_many_ids(each_bridge: Bridge) -> None:
    """By threads at the same time, as executors have them."""
    (each_bridge.work / "many.sh").write_text("#!/bin/bash\n#SBATCH --hold\n#SBATCH -J many\n")
    with futures.ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: each_bridge.ok("sbatch", "--parsable", "many.sh"), range(24)))
    ids = sorted(int(line) for line in said)
    assert len(set(ids)) == 24
    listed = each_bridge.ok("squeue", "-h", "-o", "%A", "-j", ",".join(map(str, ids))).split()
    assert sorted(map(int, listed)) == ids
    each_bridge.ok("scancel", *map(str, ids))
    assert each_bridge.ok("squeue", "-h", "-j", ",".join(map(str, ids))) == ""


def test_a_refused_submission_has_an_exit_status_and_nothing_to_take_for_an_id(each_bridge: Bridge) -> None:
    for words in (("-p", "nowhere"), ("--dependency=afterok:",), ("--mem=1T",), ("-t", "soon")):
        refused = each_bridge.run("sbatch", "--parsable", *words, "--wrap", "true")
        assert refused.out == "" and refused.code != 0, (words, refused)
        assert re.match(r"sbatch: (error|fatal): ", refused.err), refused
