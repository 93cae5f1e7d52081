"""A real bridge for tests: `bridge serve` as a process of its own, and the real commands as clients.

Nothing sleeps here: readiness is a line on standard output, ends of jobs are events of the bridge's own stream,
and what happens inside a job is told by a bell that the job's script rings.
"""

import contextlib
import dataclasses
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from adapters.slurm import hostlist
from tests.e2e import person
from tests.e2e.person import Person

REPOSITORY = Path(__file__).resolve().parents[2]
CLIENT = REPOSITORY / "bridge" / "cli" / "client.py"
START_SECONDS = 30.0
WAIT_SECONDS = 30.0
T = TypeVar("T")
FINAL = frozenset(
    {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY"}
)

SITE = """
[cluster]
kill_wait_seconds = 2
min_job_age_seconds = 3600
licenses = { matlab = 4 }

[[nodes]]
name = "n1"
cpus = 4
memory_mib = 4000
features = ["intel", "ib"]

[[nodes]]
name = "n2"
cpus = 4
memory_mib = 4000
features = ["intel"]

[[nodes]]
name = "n3"
cpus = 4
memory_mib = 4000
features = ["amd", "ib"]

[[nodes]]
name = "n4"
cpus = 4
memory_mib = 4000
features = ["amd"]
gres = ["gpu:a100:4"]

[[partitions]]
name = "main"
nodes = "n[1-4]"
default = true
default_time_seconds = 1800
default_memory_per_cpu_mib = 256

[[partitions]]
name = "short"
nodes = "n[1-2]"
max_time_seconds = 300
priority_tier = 2
default_memory_per_cpu_mib = 256

[[partitions]]
name = "gpu"
nodes = "n4"
default_memory_per_cpu_mib = 256

[[partitions]]
name = "closed"
nodes = "n3"
state = "DOWN"
"""
"""The site of the oracle's kind: four nodes with features, one with GPUs, a partition that is down."""


@dataclasses.dataclass(frozen=True)
class Ran:
    out: str
    err: str
    code: int


class Bridge:
    """`owner` runs the bridge, `user` submits the jobs."""

    def __init__(self, root: Path, owner: Person, user: Person, site: str = SITE, server: str = "") -> None:
        """`server`: more lines of the site file's [server]."""
        self.root, self.owner, self.user = root, owner, user
        self.data = root / "data"
        self.socket = self.data / "run" / "bridge.sock"
        self.log = root / "server.log"
        self.work = root / "work"
        self._site_file = root / "site.toml"
        self._site_file.write_text(f'{site}\n[server]\ndata_directory = "{self.data}"\n{server}\n{user.site_lines()}')
        self._process: subprocess.Popen[bytes] | None = None

    # ── the server ────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        environment = {
            **self.owner.environment(),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": packages(),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [person.python(), "-m", "bridge.main", "serve", "--site", self._site_file],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.root,
                env=environment,
                start_new_session=True,
                **self.owner.popen_options(),
            )
        self._wait_until_ready(self._process, time.monotonic() + START_SECONDS)

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]", deadline: float) -> None:
        """`bridge serve` prints one line when it serves; an end without it is a failure."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            ready = selector.select(deadline - time.monotonic())
        line = process.stdout.readline() if ready else b""
        if b"ready" not in line:
            process.kill()
            process.wait()
            raise AssertionError(f"the bridge did not start: {line!r}\n{self.log_end()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill9(self) -> None:
        """What a crash leaves: jobs go on, nothing is tidied up."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        """A clean stop leaves jobs alone."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the bridge did not stop on {how.name}\n{self.log_end()}") from None
        finally:
            if process.stdout is not None:
                process.stdout.close()

    def clear(self) -> None:
        """End all jobs and the bridge."""
        try:
            if self._process is not None:
                cancelled = self.run("scancel", "--user", self.user.name, as_user=self.owner)
                try:
                    self.until(lambda: not self.run("squeue", "--noheader").out.strip())
                except AssertionError as late:
                    raise AssertionError(f"{cancelled}\n{self.run('scontrol', 'show', 'job').out}\n{late}") from late
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.stop()

    def log_end(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    def command(self, name: str, *argv: str) -> list[str]:
        return [person.python(), "-I", "-S", str(CLIENT), name, *argv]

    def run(
        self,
        name: str,
        *argv: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        umask: int = 0o022,
        as_user: Person | None = None,
        seconds: float = WAIT_SECONDS,
    ) -> Ran:
        who = as_user or self.user
        done = subprocess.run(
            self.command(name, *argv),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            cwd=cwd or self.work,
            env={**who.environment(), "BRIDGE_SOCKET": str(self.socket), **(env or {})},
            umask=umask,
            timeout=seconds,
            check=False,
            **who.popen_options(),
        )
        return Ran(done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"), done.returncode)

    def ok(self, name: str, *argv: str, **options: Any) -> str:
        """Standard output of a command that must succeed."""
        ran = self.run(name, *argv, **options)
        assert ran.code == 0, f"{name} {' '.join(argv)} left with {ran.code}: {ran.err}{ran.out}\n{self.log_end()}"
        return ran.out

    def sbatch(self, *argv: str, script: str | None = None, **options: Any) -> int:
        """The new job's id. `script` is handed over on standard input."""
        text = script.encode() if script is not None else None
        out = self.ok("sbatch", "--parsable", *argv, stdin=text, **options)
        assert re.fullmatch(r"\d+\n", out), out
        return int(out)

    def wrap(self, command: str, *argv: str, **options: Any) -> int:
        return self.sbatch(*argv, "--wrap", command, **options)

    # ── looking and waiting ───────────────────────────────────────────────────────────────────────

    def show(self, job: int | str) -> list[dict[str, str]]:
        """Fields of `scontrol show job`, one dictionary for each record."""
        out = self.ok("scontrol", "show", "job", str(job), as_user=self.owner)
        return [read_record(block) for block in out.split("\n\n") if block.strip()]

    def job(self, job: int | str) -> dict[str, str]:
        """Of the one record, or of the first."""
        return self.show(job)[0]

    def state(self, job: int | str) -> str:
        return self.job(job)["JobState"]

    def until(self, look: Callable[[], T], seconds: float = WAIT_SECONDS) -> T:
        """Look, and look again when the bridge tells of events, until there is something to see."""
        deadline = time.monotonic() + seconds * self.patience
        with self._events() as events:
            while not (found := look()):
                left = deadline - time.monotonic()
                assert left > 0, f"nothing to see after {seconds} s\n{self.log_end()}"
                _wait_for_event(events, left)
        return found

    @contextlib.contextmanager
    def _events(self) -> Iterator[socket.socket]:
        """The stream of events from now on, behind its head."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(START_SECONDS)
            with self.owner.effective():  # a bridge knows its callers by the peer's credentials
                stream.connect(str(self.socket))
            stream.sendall(b"GET /v1/events HTTP/1.1\r\nHost: bridge\r\n\r\n")
            head = stream.recv(65536)
            assert head.startswith(b"HTTP/1.1 200 "), head
            yield stream

    def wait(self, job: int | str, seconds: float = WAIT_SECONDS) -> list[dict[str, str]]:
        """All records of the job, once all have ended."""

        def ended() -> list[dict[str, str]]:
            records = self.show(job)
            return records if all(record["JobState"] in FINAL for record in records) else []

        try:
            return self.until(ended, seconds)
        except AssertionError as error:
            raise AssertionError(f"job {job} did not end: {self.show(job)}\n{error}") from None

    def ends_as(self, job: int | str, seconds: float = WAIT_SECONDS) -> str:
        """`COMPLETED 0:0` of a job with one record."""
        (record,) = self.wait(job, seconds)
        return f"{record['JobState']} {record['ExitCode']}"

    def waits_because(self, job: int | str, reason: str, seconds: float = WAIT_SECONDS) -> None:
        def seen() -> bool:
            record = self.job(job)
            return record["JobState"] == "PENDING" and record["Reason"] == reason

        try:
            self.until(seen, seconds)
        except AssertionError as error:
            raise AssertionError(f"job {job} does not wait because of {reason}: {self.job(job)}\n{error}") from None

    def runs(self, job: int | str, seconds: float = WAIT_SECONDS) -> None:
        def running() -> bool:
            now = self.state(job)
            assert now not in FINAL, f"job {job} has ended: {self.job(job)}"
            return now == "RUNNING"

        self.until(running, seconds)

    def called(self, job: int, *names: str) -> list[str]:
        """What the nodes of a job that was placed once are called inside of it: as everywhere."""
        return list(names)

    def seen_outside(self, job: int, text: str) -> str:
        """What a job of one attempt wrote, with its nodes called as the site calls them."""
        nodes = hostlist.expand(self.job(job)["NodeList"])
        for inside, node in reversed(list(zip(self.called(job, *nodes), nodes, strict=True))):
            text = text.replace(inside, node)
        return text

    patience = 1.0
    """By how much jobs take longer to begin than on this machine itself, for waits."""
    devices_are_private = False
    """Whether a job counts the devices of its node from 0, instead of seeing all with their numbers."""

    def output(self, job: int | str) -> str:
        return Path(self.job(job)["StdOut"]).read_text(errors="replace")

    def bell(self) -> "Bell":
        return Bell(self._pipe("bell"))

    def gate(self) -> "Gate":
        return Gate(self._pipe("gate"))

    def _pipe(self, name: str) -> Path:
        path = self.work / f"{name}-{time.monotonic_ns()}"
        os.mkfifo(path)
        path.chmod(0o666)
        return path

    def read(self, name: str) -> str:
        """A file of the work directory."""
        return (self.work / name).read_text(errors="replace")


def _wait_for_event(stream: socket.socket, seconds: float) -> None:
    """Until the stream brings an event, or the time is over. All that has come is taken as one."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        stream.settimeout(left)
        try:
            data = stream.recv(1 << 20)
        except TimeoutError:
            return
        assert data, "the stream of events has ended"
        if b"data:" in data:
            return


class Bell:
    """A named pipe that a script rings; the test waits for it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._seen = b""
        self.ring = f"echo x > '{path}'"

    def wait(self, seconds: float = WAIT_SECONDS, times: int = 1) -> None:
        deadline = time.monotonic() + seconds
        while self._seen.count(b"\n") < times:
            with selectors.DefaultSelector() as selector:
                selector.register(self._file, selectors.EVENT_READ)
                assert selector.select(max(0.0, deadline - time.monotonic())), f"no bell after {seconds} s"
            self._seen += os.read(self._file, 65536)
        self._seen = b"".join(self._seen.splitlines(keepends=True)[times:])


class Gate:
    """A named pipe at which scripts wait; the test lets so many of them go on."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.wait = f"read _ < '{path}'"

    def open(self, times: int = 1) -> None:
        os.write(self._file, b"\n" * times)


_FIELD = re.compile(r"(?:^|\s)([A-Za-z][\w:/]*)=")


def read_record(text: str) -> dict[str, str]:
    """`Key=Value` words; a value goes on to the next key or the line's end."""
    record: dict[str, str] = {}
    for line in text.splitlines():
        found = list(_FIELD.finditer(line))
        for this, after in zip(found, [*found[1:], None], strict=False):
            record[this[1]] = line[this.end() : after.start() if after else len(line)].strip()
    return record


@contextlib.contextmanager
def a_bridge(*, owned_by_root: bool = True, site: str = SITE, server: str = "") -> Iterator[Bridge]:
    """Started, and cleared at the end. Not owned by root: bridge and jobs are a plain user's."""
    root = Path(tempfile.mkdtemp(prefix="bridge-e2e-"))
    try:
        root.chmod(0o755)
        for name in ("work", "home"):
            (root / name).mkdir()
        user = person.plain(root / "home")
        owner = person.myself() if owned_by_root else user
        for path in (root, root / "work"):
            os.chown(path, user.uid, user.gid)
        bridge = Bridge(root, owner, user, site, server)
        bridge.start()
        try:
            yield bridge
        finally:
            bridge.clear()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def packages() -> str:
    """PYTHONPATH for an interpreter that is not the environment's own."""
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.pathsep.join([*given, str(REPOSITORY), *(path for path in sys.path if path.endswith("site-packages"))])


def lines_of(path: Path) -> Sequence[str]:
    return path.read_text().splitlines() if path.exists() else []
