"""One case done again with our commands: what came out, in the shape of the recording's `expect`.

Runs the commands as recorded, in a directory of the case's own, and waits where the recording waited. Does not judge.
"""

import contextlib
import dataclasses
import datetime
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e import harness
from tests.e2e.person import Person
from tests.oracle import normalise
from tests.oracle.normalise import Known
from tests.oracle.people import SUBMITTER, People
from tests.oracle.records import Case

COMMAND_SECONDS = 120.0
WAIT_SECONDS = {"final": 180.0}
"""A time limit of two minutes and what follows it; any other state comes soon or never."""
WAIT_SECONDS_USUAL = 30.0

SACCT_FIELDS = (
    *("JobID", "JobName", "Partition", "Account", "AllocCPUS", "ReqMem", "Timelimit", "State", "ExitCode"),
    *("DerivedExitCode", "ReqTRES", "AllocTRES"),
)
_SEPARATOR = "\x1f"
_SUBMITTED = re.compile(r"Submitted batch job (\d+)|^(\d+)(?:;\S+)?$", re.MULTILINE)


class Bridge(harness.Bridge):
    """Its commands are the ones on PATH."""

    def command(self, name: str, *argv: str) -> list[str]:
        return [str(self.data / "bin" / name), *argv]

    @contextlib.contextmanager
    def no_job_begins(self) -> Iterator[None]:
        """What is submitted meanwhile is placed, but its processes wait."""
        starters = self._starters()
        try:
            for pid in starters:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in starters:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _starters(self) -> list[int]:
        """The zygote, which forks what starts a job's script; its arguments name this bridge's folder."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if os.fsencode(self.data / "run") in words and any(b"zygote" in word for word in words):
                    found.append(int(folder.name))
        return found


@dataclasses.dataclass
class Replayed:
    outcome: dict[str, Any]
    """exit_code, stdout, ... as in the recording's `expect`; for HTTP http_status, content_type, body."""
    known: Known


class Replay:
    """Of one case, or of several that go on with each other's ids."""

    def __init__(self, bridge: Bridge, people: People, log_folder: Path) -> None:
        self._bridge = bridge
        self._people = people
        self._log = log_folder
        self._ids: list[str] = []
        self._token = ""

    def run(self, case: Case) -> Replayed:
        self._cwd = self._bridge.work / case.id
        self._user = self._people.called(case.how.get("user", SUBMITTER))
        return self._http(case) if case.is_http else self._commands(case)

    def known(self, submitted_at: datetime.datetime | None = None) -> Known:
        user = self._people.user
        values = {
            "USER": user.name,
            "UID": str(user.uid),
            "HOME": user.home,
            "HOST": os.uname().nodename,
            "CWD": str(self._cwd),
            "TOKEN": self._token,
            "LOG": str(self._log),
        }
        values |= {f"JOBID{number if number > 1 else ''}": one for number, one in enumerate(self._ids, start=1)}
        return Known(values, datetime.date.today(), submitted_at)

    def _fill(self, text: str) -> str:
        return normalise.fill(text, self.known())

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    def _commands(self, case: Case) -> Replayed:
        self._ids = []
        before = self._write_files(case.how.get("files", {}))
        stdin = case.how.get("stdin")
        steps = case.how.get("then", ())
        at_once = _typed_at_once(case.how["argv"], steps)
        # In the recording no job ended before commands that were typed without a pause: they took a few hundredths
        # of a second, a job's start and end there some tenths. Ours may end between two of them.
        with self._bridge.no_job_begins() if at_once else contextlib.nullcontext():
            outcome = self._command(case.how["argv"], case.how, None if stdin is None else self._fill(stdin))
            outcome["then"] = [self._step(step) for step in steps[:at_once]]
        outcome["then"] += [self._step(step) for step in steps[at_once:]]
        expected_job = case.expect.get("job")
        if expected_job:
            first = expected_job[0] if isinstance(expected_job, list) else expected_job
            outcome["job"] = self._records(self._fill(first["JobId"]))
        if "sacct" in case.expect:
            outcome["sacct"] = self._rows(self._fill(_base_id(case.expect)))
        if "files" in case.expect:
            outcome["files"] = self._written(before)
        return Replayed(outcome, self.known())

    def _step(self, step: Mapping[str, Any]) -> dict[str, Any]:
        if "wait" in step:
            return {"reached": self._wait(self._fill(step["wait"]), step["until"])}
        if "sleep_s" in step:
            time.sleep(step["sleep_s"])  # part of the case: what has happened by then is compared
            return {}
        if "show_job" in step:
            return {"job": self._records(self._fill(step["show_job"]))}
        stdin = step.get("stdin")
        return self._command(step["argv"], step, None if stdin is None else self._fill(stdin))

    def _command(self, argv: Sequence[str], step: Mapping[str, Any], stdin: str | None) -> dict[str, Any]:
        who = self._people.called(step["user"]) if "user" in step else self._user
        environment = {
            **who.environment(),
            "PATH": f"{self._bridge.data}/bin:/usr/local/bin:/usr/bin:/bin",
            "BRIDGE_SOCKET": str(self._bridge.socket),
            **{name: self._fill(value) for name, value in step.get("env", {}).items()},
        }
        if _names_another_controller(environment.get("SLURM_CONF"), self._cwd):
            environment["BRIDGE_SOCKET"] = str(self._cwd / "nobody.sock")
        try:
            done = subprocess.run(
                [self._fill(word) for word in argv],
                input=(stdin or "").encode(),
                capture_output=True,
                cwd=self._fill(step.get("cwd", "{CWD}")),
                env=environment,
                umask=0o022,
                timeout=COMMAND_SECONDS,
                check=False,
                **_as(who),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return {"exit_code": None, "stdout": "", "stderr": f"not run: {error}\n"}
        stdout = done.stdout.decode("utf-8", "replace")
        if argv[0] == "sbatch" or (argv[0] == "sh" and "sbatch" in argv[-1]):
            self._ids += [one or other for one, other in _SUBMITTED.findall(stdout)]
        return {"exit_code": done.returncode, "stdout": stdout, "stderr": done.stderr.decode("utf-8", "replace")}

    # ── waiting and looking ───────────────────────────────────────────────────────────────────────

    def _wait(self, job_id: str, until: str) -> bool:
        """Whether the state (or `reason=...`, or `final`) came; at once False where it cannot come any more."""
        if not job_id.isdigit():
            return False

        def look() -> bool | None:
            records = self._records(job_id)
            states = [record["JobState"] for record in records]
            ended = bool(states) and all(state in harness.FINAL for state in states)
            if until == "final":
                return ended or None
            there = any(
                record["Reason"] == until.removeprefix("reason=")
                if until.startswith("reason=")
                else record["JobState"] == until
                for record in records
            )
            return True if there else False if ended else None

        answers: list[bool] = []

        def seen() -> bool:
            answer = look()
            answers[:] = [] if answer is None else [answer]
            return answer is not None

        try:
            self._bridge.until(seen, WAIT_SECONDS.get(until, WAIT_SECONDS_USUAL))
        except AssertionError:
            return False
        return answers[0]

    def _records(self, job_id: str) -> list[dict[str, str]]:
        ran = self._bridge.run("scontrol", "show", "job", job_id, as_user=self._bridge.owner)
        return [harness.read_record(block) for block in ran.out.split("\n\n") if block.strip() and ran.code == 0]

    def _rows(self, job_id: str) -> list[dict[str, str]]:
        words = ("-n", "-P", f"--delimiter={_SEPARATOR}", "-j", job_id, "-o", ",".join(SACCT_FIELDS))
        out = self._bridge.run("sacct", *words, as_user=self._bridge.owner).out
        return [dict(zip(SACCT_FIELDS, line.split(_SEPARATOR), strict=False)) for line in out.splitlines()]

    # ── files ─────────────────────────────────────────────────────────────────────────────────────

    def _write_files(self, files: Mapping[str, str]) -> dict[str, bytes]:
        self._cwd.mkdir(parents=True)
        for name, text in files.items():
            path = self._cwd / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._fill(text).encode())
        owner = self._people.user
        for path in (self._cwd, *self._cwd.rglob("*")):
            os.chown(path, owner.uid, owner.gid)
        return _contents(self._cwd)

    def _written(self, before: Mapping[str, bytes]) -> dict[str, str]:
        """New or changed since."""
        after = _contents(self._cwd)
        return {name: data.decode("utf-8", "replace") for name, data in after.items() if before.get(name) != data}

    # ── HTTP ──────────────────────────────────────────────────────────────────────────────────────

    def _http(self, case: Case) -> Replayed:
        if not self._token:
            ran = self._bridge.run("scontrol", "token", "lifespan=3600", as_user=self._people.user)
            self._token = ran.out.strip().partition("=")[2]
        how = case.how
        body = how.get("body")
        text = body if isinstance(body, str) else None if body is None else json.dumps(body)
        headers = {name: self._fill(value) for name, value in how.get("headers", {}).items()}
        if text is not None:
            headers.setdefault("Content-Type", "application/json")
        if (ended := re.search(r"/job/(\d+)$", self._fill(how["path"]))) and _is_of_an_ended_job(case):
            self._wait(ended[1], "final")
        connection = _UnixConnection(self._bridge.socket)
        try:
            connection.request(
                how["method"], self._fill(how["path"]), None if text is None else self._fill(text), headers
            )
            answer = connection.getresponse()
            found = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            return Replayed({"http_status": None, "content_type": "", "body": f"no answer: {error}"}, self.known())
        finally:
            connection.close()
        content_type = (answer.getheader("Content-Type") or "").partition(";")[0].strip()
        outcome = {"http_status": answer.status, "content_type": content_type, "body": _parsed(found, content_type)}
        expected = case.expect.get("body")
        self._note_id(
            outcome["body"], expected["job_id"] if isinstance(expected, dict) and "job_id" in expected else ""
        )
        return Replayed(outcome, self.known())

    def _note_id(self, body: Any, placeholder: str) -> None:
        """The recording numbers the ids that submissions told, some of which it left out."""
        number = re.fullmatch(r"\{JOBID(\d*)\}", placeholder)
        if number is None or not isinstance(body, dict) or "job_id" not in body:
            return
        place = int(number[1] or 1)
        self._ids += ["?"] * (place - len(self._ids))
        self._ids[place - 1] = str(body["job_id"])


def _is_of_an_ended_job(case: Case) -> bool:
    """What is recorded of a job after its end was asked for after its end."""
    body = case.expect.get("body")
    jobs = body.get("jobs") if case.how["method"] == "GET" and isinstance(body, dict) else None
    return bool(jobs) and all(set(job.get("job_state", ())) & harness.FINAL for job in jobs)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


def _names_another_controller(slurm_conf: str | None, folder: Path) -> bool:
    """A configuration of the case's own leads to a controller that does not run; here the socket is what leads."""
    path = Path(slurm_conf or "/")
    return path.is_relative_to(folder) and path.is_file()


def _parsed(text: str, content_type: str) -> Any:
    if content_type != "application/json":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _typed_at_once(argv: Sequence[str], steps: Sequence[Mapping[str, Any]]) -> int:
    """How many steps followed the first command without a pause. None where that waits for a job itself."""
    if argv[0] != "sbatch" or _waits(argv):
        return 0
    is_pause = ("argv" not in step or _waits(step["argv"]) for step in steps)
    return next((number for number, pauses in enumerate(is_pause) if pauses), len(steps))


def _waits(argv: Sequence[str]) -> bool:
    return any(word in ("-W", "--wait", "sh", "srun", "salloc") for word in argv)


def _as(who: Person) -> dict[str, Any]:
    return who.popen_options() if os.geteuid() == 0 else {}


def _base_id(expect: Mapping[str, Any]) -> str:
    """The job whose rows `sacct` showed, without task and step."""
    found = re.match(r"\{\w+\}|\d+", expect["sacct"][0]["JobID"]) if expect["sacct"] else None
    return found[0] if found else "{JOBID}"


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
