"""The `bridge` command as people run it, with real processes."""

import contextlib
import hashlib
import json
import os
import re
import selectors
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.store import schema

START_SECONDS = 30
SITE = """
[server]
data_directory = "{data}"
tcp_host = "127.0.0.1"
tcp_port = {port}

[[nodes]]
name = "n[1-2]"
cpus = 2
memory_mib = 1000
"""


class Installed:
    """A site file, and what is started with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.site = folder / "site.toml"
        self.site.write_text(SITE.format(data=self.data, port=self.port))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "BRIDGE_SOCKET": str(self.data / "run" / "bridge.sock"),
        }

    def run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "bridge.main", *words],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            cwd=self.folder,
            env={**self.environment, "PYTHONPATH": _path(self.environment["PYTHONPATH"]), **environment},
            check=False,
        )

    def ok(self, *words: str, **environment: str) -> str:
        ran = self.run(*words, **environment)
        assert (ran.returncode, ran.stderr) == (0, ""), ran
        return ran.stdout

    @contextlib.contextmanager
    def served(self) -> Iterator[tuple["subprocess.Popen[str]", str]]:
        """(the process, its ready line)"""
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bridge.main", "serve", "--site", str(self.site)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder,
                env={**self.environment, "PYTHONPATH": _path(self.environment["PYTHONPATH"])},
            )
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
                assert selector.select(START_SECONDS), self.log()
            line = process.stdout.readline()  # type: ignore[union-attr]
            assert "ready" in line, self.log()
            yield process, line
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()  # type: ignore[union-attr]

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.HTTPTransport(uds=self.environment["BRIDGE_SOCKET"]), base_url="http://b")

    def log(self) -> str:
        return (self.folder / "log").read_text()


def _path(more: str) -> str:
    """Tests run in the repository; the processes do not."""
    return os.pathsep.join(filter(None, [more, str(Path(__file__).parents[1])]))


@pytest.fixture
def installed() -> Iterator[Installed]:
    folder = Path(tempfile.mkdtemp(prefix="bridge-main-"))  # pytest's own are too long for a socket
    folder.chmod(0o755)
    try:
        yield Installed(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def submit(client: httpx.Client, script: str, folder: Path) -> str:
    answer = client.post("/v1/jobs", json={"script": script, "working_directory": str(folder)})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    [found] = client.get(f"/v1/jobs/{job}?wait_seconds=30", timeout=40).json()["jobs"]
    assert found["is_final"], found
    record: dict[str, Any] = found
    return record


class TestServing:
    def test_from_the_first_start_to_a_jobs_end(self, installed: Installed) -> None:
        with installed.served() as (process, line), installed.client() as client:
            assert line.startswith(f"bridge 0.1.0 is ready at {installed.data}/run/bridge.sock and 127.0.0.1 port")
            job = submit(client, "#!/bin/sh\necho hello\nfalse\n", installed.folder)
            record = ended(client, job)
            assert (record["state"], record["end"]["exit_status"]) == ("FAILED", 1)
            assert installed.ok("logs", job) == "hello\n"
            told = [row.split("  ", 2)[2].strip() for row in installed.ok("history", job).splitlines()]
            assert [text.removeprefix(job).strip().rstrip(".").split(" (")[0].split(";")[0] for text in told] == [
                "Submitted", "Attempt 1 was given partition main, n1", "The script was started",
                "The script ended with status 1",
            ]  # fmt: skip
            assert "JOBID PARTITION" in installed.ok("squeue")
            process.send_signal(signal.SIGTERM)
            assert process.wait(START_SECONDS) == 0
        assert not re.search("Traceback|error", installed.log()), installed.log()

    def test_what_is_secret_is_its_owners(self, installed: Installed) -> None:
        with installed.served():
            modes = {
                name: (installed.data / name).stat().st_mode & 0o777
                for name in ("", "keys", "keys/token.key", "keys/tls.key", "bridge.db", "run/bridge.sock")
            }
        is_root = os.geteuid() == 0
        assert modes == {
            "": 0o711 if is_root else 0o700,
            "keys": 0o700,
            "keys/token.key": 0o600,
            "keys/tls.key": 0o600,
            "bridge.db": 0o600,
            "run/bridge.sock": 0o666 if is_root else 0o600,
        }

    def test_a_stop_leaves_jobs_alone_and_the_next_start_finds_them(self, installed: Installed) -> None:
        gate = installed.folder / "gate"
        os.mkfifo(gate, 0o666)
        with installed.served(), installed.client() as client:
            job = submit(client, f"#!/bin/sh\nread word < {gate}\necho $word\n", installed.folder)
            writing = os.open(gate, os.O_WRONLY)  # waits for the script to open it
        with installed.served(), installed.client() as client:
            [found] = client.get(f"/v1/jobs/{job}").json()["jobs"]
            assert found["state"] == "RUNNING"
            os.write(writing, b"again\n")
            os.close(writing)
            assert ended(client, job)["state"] == "COMPLETED"
            assert installed.ok("logs", job) == "again\n"

    def test_a_wait_goes_on_with_the_next_bridge(self, installed: Installed) -> None:
        gate = installed.folder / "gate"
        os.mkfifo(gate, 0o666)
        environment = {**installed.environment, "PYTHONPATH": _path(installed.environment["PYTHONPATH"])}
        words = ["sbatch", "--wait", "--output=/dev/null", "--wrap", f"read code < {gate}; exit $code"]
        with installed.served() as (process, _):
            waiting = subprocess.Popen([sys.executable, "-m", "bridge.main", *words], env=environment)
            writing = os.open(gate, os.O_WRONLY)  # waits for the script to open it
            stopped = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(START_SECONDS) == 0
            assert time.monotonic() - stopped < 4
        with waiting, installed.served():
            os.write(writing, b"7\n")
            os.close(writing)
            assert waiting.wait(START_SECONDS) == 7

    def test_logs_are_followed_to_the_end(self, installed: Installed) -> None:
        gate = installed.folder / "gate"
        os.mkfifo(gate, 0o666)
        with installed.served(), installed.client() as client:
            job = submit(client, f"#!/bin/sh\necho one\nread word < {gate}\necho two\n", installed.folder)
            following = subprocess.Popen(
                [sys.executable, "-m", "bridge.main", "logs", "--follow", job],
                stdout=subprocess.PIPE,
                text=True,
                env={**installed.environment, "PYTHONPATH": _path(installed.environment["PYTHONPATH"])},
            )
            with following:
                assert following.stdout is not None
                assert following.stdout.readline() == "one\n"
                gate.write_text("go\n")
                assert following.stdout.read() == "two\n"
            assert following.returncode == 0

    def test_a_second_one_does_not_start_beside_it(self, installed: Installed) -> None:
        with installed.served() as (process, _):
            ran = installed.run("serve", "--site", str(installed.site))
            assert (ran.returncode, ran.stdout) == (1, "")
            assert f"is in use by another bridge, process {process.pid}; stop that one first" in ran.stderr
            assert installed.run("squeue").returncode == 0
            assert "is in use" in installed.run("db", "upgrade", "--site", str(installed.site)).stderr

    def test_tcp_is_tls_with_the_certificate_that_is_told_and_takes_tokens(self, installed: Installed) -> None:
        with installed.served() as (_, line), installed.client() as local:
            certificate = installed.data / "keys" / "tls.pem"
            told = line.rpartition("SHA-256 ")[2].strip()
            der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
            assert hashlib.sha256(der).hexdigest() == told.replace(":", "").lower()
            assert told in installed.ok("check", "--site", str(installed.site))
            token = local.post("/v1/tokens", json={"lifespan_seconds": 60}).json()["token"]
            context = ssl.create_default_context(cafile=str(certificate))
            with httpx.Client(base_url=f"https://localhost:{installed.port}", verify=context) as remote:
                assert remote.get("/v1/jobs").status_code == 401
                headers = {"authorization": f"Bearer {token}"}
                assert remote.get("/v1/jobs", headers=headers).json() == {"jobs": [], "next_cursor": None}
            job = submit(local, "#!/bin/sh\necho far\n", installed.folder)
            ended(local, job)
            over_tcp = {
                "BRIDGE_SOCKET": "",
                "BRIDGE_URL": f"https://localhost:{installed.port}",
                "BRIDGE_CA_FILE": str(certificate),
            }
            assert installed.ok("logs", job, BRIDGE_TOKEN=token, **over_tcp) == "far\n"
            assert "a token is needed" in installed.run("logs", job, **over_tcp).stderr
        assert token not in installed.log()

    def test_one_that_streams_events_stops_at_once(self, installed: Installed) -> None:
        with (
            installed.served() as (process, _),
            installed.client() as client,
            client.stream("GET", "/v1/events") as events,
        ):
            lines = events.iter_lines()
            assert next(lines) == ": from here on"
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(START_SECONDS) == 0
            assert time.monotonic() - began < 4


@pytest.mark.slow
class TestDatabase:
    def test_is_made_at_the_first_start_only(self, installed: Installed) -> None:
        site = ("--site", str(installed.site))
        assert "The database is made at the first start." in installed.ok("check", *site)
        with installed.served():
            pass
        assert installed.ok("db", "current", *site) == f"The schema is {schema.head()}.\n"
        with contextlib.closing(sqlite3.connect(installed.data / "bridge.db")) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        ran = installed.run("serve", *site)
        assert ran.returncode == 1
        assert "9999" in ran.stderr and "newer" in ran.stderr
        assert installed.run("check", *site).returncode == 1

    def test_goes_down_and_up_again(self, installed: Installed) -> None:
        site = ("--site", str(installed.site))
        assert installed.ok("db", "upgrade", *site) == f"The schema is {schema.head()}.\n"
        assert installed.ok("db", "purge", "--dry-run", *site).startswith("jobs: 0 would go\n")
        assert "downgrade to which revision?" in installed.run("db", "downgrade", *site).stderr
        assert installed.ok("db", "downgrade", "base", *site) == "The schema is not there.\n"
        assert installed.ok("db", "upgrade", *site) == f"The schema is {schema.head()}.\n"


class TestWithoutService:
    def test_version_and_usage(self, installed: Installed) -> None:
        assert installed.ok("--version") == "bridge 0.1.0\n"
        assert installed.run().returncode == 2
        wrong = installed.run("squeuee")
        assert wrong.returncode == 2
        assert "invalid choice: 'squeuee'" in wrong.stderr
        for command in ("serve", "check", "translate", "shims", "logs", "history", "db", "sbatch"):
            assert command in installed.ok("--help")

    def test_check_tells_every_mistake(self, installed: Installed) -> None:
        installed.site.write_text('[server]\ntcp_prt = 1\n[cluster]\njob_requeue = "yes"\n')
        ran = installed.run("check", "--site", str(installed.site))
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.splitlines() == [
            f"bridge: {installed.site}: server.tcp_prt: found an unknown key, expected the key 'tcp_port'?",
            f"bridge: {installed.site}: cluster.job_requeue: found 'yes', expected true or false",
        ]

    def test_a_data_directory_that_others_may_write_is_not_used(self, installed: Installed) -> None:
        installed.data.mkdir()
        installed.data.chmod(0o777)
        ran = installed.run("serve", "--site", str(installed.site))
        assert ran.returncode == 1
        assert "writable by nobody else" in ran.stderr

    def test_asking_where_nobody_answers(self, installed: Installed) -> None:
        for words in (("logs", "1"), ("history", "1")):
            ran = installed.run(*words)
            assert ran.returncode == 1
            assert f"bridge: no bridge answers at {installed.data}/run/bridge.sock" in ran.stderr

    def test_shims(self, installed: Installed) -> None:
        folder = installed.folder / "bin"
        assert sorted(map(Path, installed.ok("shims", str(folder)).split())) == sorted(folder.iterdir())
        (folder / "sbatch").write_text("mine")
        ran = installed.run("shims", str(folder))
        assert ran.returncode == 1
        assert "not overwritten" in ran.stderr
        assert (folder / "sbatch").read_text() == "mine"

    def test_translate(self, installed: Installed) -> None:
        script = installed.folder / "train.sh"
        script.write_text("#!/bin/sh\ntrue\n")
        told = installed.ok("translate", "--nodes=2", str(script), "word")
        shape = r"^Group .*^  node +n1: .*^  node +n2: .*^  arguments +word$.*^  SLURM_NNODES +2$"
        assert re.search(shape, told, re.M | re.S), told
        data = json.loads(installed.ok("translate", "--json", "--nodes=2", str(script)))
        assert [entry["text"] for entry in data["report"]] == ["--nodes=2"]
        assert [node["name"] for node in data["group"]["nodes"]] == ["n1", "n2"]
        never = json.loads(installed.ok("translate", "--json", "--mem=900T", str(script)))
        assert (never["group"], never["no_group_because"]) == (
            None,
            "it would be refused: Memory specification can not be satisfied",
        )
        refused = installed.run("translate", "--no-such-option", str(script))
        assert refused.returncode != 0
        assert "no-such-option" in refused.stderr
        assert installed.run("translate").returncode == 2

    def test_commands_do_not_wait_for_the_services_imports(self) -> None:
        code = (
            "import sys; before = set(sys.modules); import bridge.main; "
            "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
        )
        assert not {"fastapi", "sqlalchemy", "uvicorn", "pydantic", "asyncio", "argparse"} & set(
            re.findall(r"'(\w+)'", ran.stdout)
        )
