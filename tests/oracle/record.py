"""`python -m tests.oracle.record ASKED OUT.jsonl`: asks a real Slurm 25.11 what the replay will compare with.

ASKED is a JSON list of {"id", "group", "how", "look"}, or a recording (.jsonl), of which the same is asked again. OUT
gets line 1 of the big recording and a case a line, in its format.
Needs root and SLURM_BUNDLE. The cluster is the recorded one, with its users, made for this run and ended after it.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.e2e import harness, person, reference
from tests.oracle import compare, normalise, people, records
from tests.oracle.people import Person
from tests.oracle.records import Case
from tests.oracle.replay import Replay

RECORDING = Path(__file__).parents[1] / "slurm-oracle.jsonl"
PORT_BASE = int(os.environ.get("SLURM_PORT_BASE", "35500"))
_PREFIX = Path("/opt/slurm-25.11")

_CONFIGURATION = """\
PartitionName=all Nodes=n[1-4]
PartitionName=closed Nodes=n3 State=DOWN MaxTime=60
PartitionName=small Nodes=n1 MaxNodes=1 MaxTime=60
FirstJobId=100001
AccountingStorageEnforce=associations,limits,qos
"""

_ACCOUNTS = (
    "add account physics,chem",
    "add qos high",
    "add user alice account=physics,chem defaultaccount=physics qos=normal,high defaultqos=normal",
    "add user bob account=physics defaultaccount=physics qos=normal",
)

_IDENTITY = ("JobId", "ArrayJobId", "ArrayTaskId", "JobName", "Account", "QOS", "Partition", "SubmitLine", "Command")
_STANDING = (
    "JobState",
    "Reason",
    "Priority",
    "Dependency",
    "Requeue",
    "ExitCode",
    "TimeLimit",
    "KillOnInvalidDependent",
)
_SIZE = ("NumNodes", "NumCPUs", "NumTasks", "CPUs/Task", "ReqTRES", "TRES", "TresPerNode", "TresPerJob", "Licenses")
_MORE = ("MinCPUsNode", "MinMemoryCPU", "MinMemoryNode", "Features", "Comment", "MailUser", "MailType")
_FIELDS_COMPARED = frozenset((*_IDENTITY, *_STANDING, *_SIZE, *_MORE, "WorkDir", "StdErr", "StdOut", "StdIn"))


_OF_THE_MACHINE = (
    (re.compile(r"\bslurm2511\b"), "oracle"),
    (re.compile(r"\bSLURM_CONF=\S+/"), "SLURM_CONF={ETC}/"),
    (re.compile(r"\bSLURM_TASK_PID=\d+"), "SLURM_TASK_PID={PID}"),
    (re.compile(r"(?<![\d.])1[6-9]\d{8}(?![\d.])"), "{EPOCH}"),
    (re.compile(r"\bs[0-9A-HJKMNP-TV-Z]{13}\b"), "{SLUID}"),
    (re.compile(r"\b25\.11\.\d+\b"), "25.11.8"),
)
"""The real cluster's own name, which its tools give it; and what another machine or another hour cannot give again."""


class SlurmAsBridge:
    """What a replay asks of a bridge, answered by a real Slurm."""

    def __init__(self, bundle: Path, root: Path, everybody: people.People) -> None:
        self._bundle = bundle
        self._directory = root / "slurm"
        self.data, self.socket = _PREFIX, root / "none"
        self.user, self.owner = everybody.user, person.myself()
        self.work = root / "work"
        self.work.mkdir()
        os.chown(self.work, self.user.uid, self.user.gid)
        extra = root / "extra.conf"
        extra.write_text(_CONFIGURATION)
        words = ("--dir", self._directory, "--port-base", str(PORT_BASE), "--nodes", "4", "--cpus", "8", "--gpus", "4")
        command = [bundle / "start", *words, "--dbd", "--fresh", "--extra", extra]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for words in _ACCOUNTS:
            self.run("sacctmgr", "-i", *words.split())

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": f"{self._directory}/etc/slurm.conf"}

    def run(self, name: str, *argv: str, as_user: person.Person | None = None) -> harness.Ran:
        env = {**os.environ, **self.environment}
        done = subprocess.run([_PREFIX / "bin" / name, *argv], capture_output=True, env=env, check=False)
        return harness.Ran(done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.returncode)

    def no_job_begins(self) -> contextlib.AbstractContextManager[None]:
        """There the commands are as quick as they were in the big recording."""
        return contextlib.nullcontext()

    def empty(self) -> None:
        """The next case finds an idle cluster."""

        def jobs() -> list[str]:
            return self.run("squeue", "--noheader", "--all", "-o", "%A").out.split()

        if left := jobs():
            self.run("scancel", *dict.fromkeys(left))
            self.until(lambda: not jobs(), seconds=60)

    def until(self, look: Callable[[], Any], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, f"nothing to see after {seconds} s"
            time.sleep(0.1)  # slurmctld has no events to wait for
        return found

    def stop(self) -> None:
        subprocess.run([self._bundle / "stop", "--dir", self._directory, "--purge"], check=False)


class Outcome:
    """What a run gave, with placeholders for what another run cannot give again."""

    def __init__(self, known: normalise.Known, left_out_when: Mapping[str, str]) -> None:
        values = known.values
        ids = sorted((name for name in values if name.startswith("JOBID")), key=lambda name: -len(values[name]))
        self._words = [(re.escape(values[name]), name) for name in ("CWD", "HOME") if values[name]]
        self._ids = {values[name]: name for name in ids}
        self._words += [(rf"\b{re.escape(values[name])}\b", name) for name in ("USER", "UID", "HOST")]
        self._left_out_when = left_out_when

    def text(self, text: str) -> str:
        for pattern, name in self._words:
            text = re.sub(pattern, "{" + name + "}", text)
        for pattern, placeholder in _OF_THE_MACHINE:
            text = pattern.sub(placeholder, text)
        text = re.sub(r"\d+", self._id, text)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", "{TIME}", text)

    def _id(self, digits: re.Match[str]) -> str:
        """Zeros before it are a width that somebody asked for."""
        name = self._ids.get(digits[0].lstrip("0"))
        if name is None:
            return digits[0]
        return "{" + name + (f":0{len(digits[0])}" if digits[0].startswith("0") else "") + "}"

    def command(self, done: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "exit_code": done["exit_code"],
            "stdout": self.text(done["stdout"]),
            "stderr": self.text(done["stderr"]),
        }

    def job(self, record: Mapping[str, str]) -> dict[str, str]:
        return {
            name: self.text(value)
            for name, value in record.items()
            if self._is_compared(name) and self._left_out_when.get(name) != value
        }

    def _is_compared(self, name: str) -> bool:
        """A replay takes a field for its usual value where a record leaves it out."""
        return name in _FIELDS_COMPARED or (name in self._left_out_when and name not in compare.BY_SCHEDULER)

    def step(self, done: Mapping[str, Any]) -> dict[str, Any]:
        if "exit_code" in done:
            return self.command(done)
        return {"job": self.job(done["job"][0])} if "job" in done else dict(done)


def record(case: dict[str, Any], replay: Replay, left_out_when: Mapping[str, str]) -> dict[str, Any]:
    """`how` may say `look: [job, sacct, files]`, what is put down besides the commands' answers."""
    how = case["how"]
    looks = case.get("look", ())
    asked = {"job": {"JobId": "{JOBID}"}, "sacct": [{"JobID": "{JOBID}"}], "files": {}}
    outcome, known = _run(
        replay, Case(case["id"], case["group"], records.OURS, how, {look: asked[look] for look in looks})
    )
    told = Outcome(known, left_out_when)
    expect: dict[str, Any] = told.command(outcome)
    if how.get("then"):
        expect["then"] = [told.step(done) for done in outcome["then"]]
    if "job" in looks:
        found = [told.job(one) for one in outcome["job"]]
        expect["job"] = found[0] if len(found) == 1 else found
    if "sacct" in looks:
        expect["sacct"] = [{name: told.text(value) for name, value in row.items()} for row in outcome["sacct"]]
    if "files" in looks:
        expect["files"] = {told.text(name): told.text(text) for name, text in outcome["files"].items()}
    return {"id": case["id"], "group": case["group"], "slurm_version": records.OURS, "how": how, "expect": expect}


def _run(replay: Replay, case: Case) -> tuple[dict[str, Any], normalise.Known]:
    replayed = replay.run(case)
    print(case.id, flush=True)
    return replayed.outcome, replayed.known


def _asked(path: Path) -> list[dict[str, Any]]:
    """A list of new cases; or of a recording the same cases again."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".jsonl":
        return list(json.loads(text))
    recorded = [json.loads(line) for line in text.splitlines()[1:]]
    return [
        {name: one[name] for name in ("id", "group", "how")}
        | {"look": [look for look in ("job", "sacct", "files") if look in one["expect"]]}
        for one in recorded
    ]


def main(asked_file: str, out_file: str) -> int:
    bundle = reference.bundle()
    if bundle is None:
        print("SLURM_BUNDLE does not name the bundle of a real Slurm, or this is not root", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the cluster ends with us
    asked = _asked(Path(asked_file))
    first_line = RECORDING.read_text(encoding="utf-8").split("\n", 1)[0]
    root = Path(tempfile.mkdtemp(prefix="oracle-"))
    root.chmod(0o755)
    try:
        (root / "home").mkdir()
        everybody = people.make(root / "home")
        if not people.make_known_to_programs(everybody, root):
            print("the recorded users cannot be made here", file=sys.stderr)
            return 2
        slurm = SlurmAsBridge(bundle, root, everybody)
        try:
            speaking = {name: _speaking(one, slurm) for name, one in everybody.by_name.items()}
            replay = Replay(slurm, people.People(speaking["{USER}"], speaking), root)  # type: ignore[arg-type]
            left_out_when = records.read(RECORDING).left_out_when
            lines = []
            for case in asked:
                lines.append(json.dumps(record(case, replay, left_out_when), ensure_ascii=False))
                slurm.empty()
        finally:
            slurm.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    Path(out_file).write_text("\n".join([first_line, *lines]) + "\n", encoding="utf-8")
    return 0


def _speaking(one: person.Person, slurm: SlurmAsBridge) -> person.Person:
    class Speaking(Person):
        def environment(self) -> dict[str, str]:
            return {**super().environment(), **slurm.environment}

    return Speaking(one.name, one.uid, one.gid, one.home)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
