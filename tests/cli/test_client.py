"""The client as a process of its own, against a stand-in for the bridge."""

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.slurm.answer import ANNOUNCEMENT
from bridge.cli import client, shims
from tests.cli.server import Answer, Server

CLIENT = Path(shims.__file__).parent / "client.py"
DONE: Answer = {"out": "Submitted batch job 5\n", "err": "", "code": 0}
TIMEOUT_SECONDS = 30


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "s"


def run(place: Path, *argv: str | bytes, stdin: bytes | None = b"", cwd: Path | None = None, **environ: str):
    return subprocess.run(
        [sys.executable, "-I", "-S", str(CLIENT), *argv],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "BRIDGE_SOCKET": str(place), **environ},
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def said(done: subprocess.CompletedProcess[bytes]) -> tuple[bytes, bytes, int]:
    return done.stdout, done.stderr, done.returncode


def test_what_comes_back_is_printed(place: Path):
    with Server(place, [{"out": "a\n", "err": "b\n", "code": 7}]):
        assert said(run(place, "squeue")) == (b"a\n", b"b\n", 7)


def a_copy(tmp_path: Path, **fields: Any) -> Answer:
    order = {
        "source": str(tmp_path / "from"),
        "target": str(tmp_path / "to"),
        "host": os.uname().nodename,
        "node": "n1",
        "force": False,
        "preserve": False,
        **fields,
    }
    return {"out": "", "err": "", "code": 0, "copy": order}


def test_a_file_is_copied_as_the_user(place: Path, tmp_path: Path):
    (tmp_path / "from").write_bytes(b"\xffhello")
    (tmp_path / "from").chmod(0o751)
    os.utime(tmp_path / "from", (1000, 2000))
    exists = b"sbcast: error: REQUEST_FILE_BCAST(n1): File exists\n"
    with Server(place, [a_copy(tmp_path), a_copy(tmp_path), a_copy(tmp_path, force=True, preserve=True)]):
        assert said(run(place, "sbcast", "from", "to")) == (b"", b"", 0)
        status = (tmp_path / "to").stat()
        assert ((tmp_path / "to").read_bytes(), status.st_mode & 0o777) == (b"\xffhello", 0o751)
        assert status.st_mtime > 2000
        assert said(run(place, "sbcast", "from", "to")) == (b"", exists, 17)
        assert said(run(place, "sbcast", "-f", "-p", "from", "to")) == (b"", b"", 0)
    assert (tmp_path / "to").stat().st_mtime == 2000


def test_a_copy_that_cannot_be_made_says_why(place: Path, tmp_path: Path):
    elsewhere = a_copy(tmp_path, host="elsewhere")
    folder = a_copy(tmp_path, source=str(tmp_path))
    (tmp_path / "some").write_text("x")
    nowhere = a_copy(tmp_path, source=str(tmp_path / "some"), target="/no/such/place")
    with Server(place, [a_copy(tmp_path), folder, nowhere, elsewhere]):
        for text, code in (
            (f"Can't open `{tmp_path}/from`: No such file or directory", 255),
            (f"Can't mmap file `{tmp_path}`, No such device.", 255),
            ("REQUEST_FILE_BCAST(n1): No such file or directory", 2),
            ("the job's nodes are on elsewhere: copy the file there", 1),
        ):
            assert said(run(place, "sbcast", "from", "to")) == (b"", f"sbcast: error: {text}\n".encode(), code)


def test_sbatch_sends_all_that_a_job_is_made_of(place: Path, tmp_path: Path):
    with Server(place, [DONE]) as server:
        assert said(run(place, "sbatch", "-N2", "job.sh", cwd=tmp_path, ANY="x")) == (
            b"Submitted batch job 5\n",
            b"",
            0,
        )
    body = server.bodies[0]
    assert server.heads[0].startswith("POST /cli/sbatch HTTP/1.1\r\n")
    assert (body["argv"], body["cwd"], body["env"]["ANY"], body["tty_err"]) == (
        ["-N2", "job.sh"],
        str(tmp_path),
        "x",
        False,
    )
    assert body["host"] == os.uname().nodename
    assert 0 <= body["umask"] <= 0o777
    assert all(len(pair) == 2 for pair in body["rlimits"].values()) and "RLIMIT_STACK" in body["rlimits"]
    assert len(body["key"]) == 32


def test_other_commands_send_their_own_variables_only(place: Path):
    with Server(place, [DONE]) as server:
        run(place, "squeue", SECRET="x", SQUEUE_FORMAT="%i", SLURM_X="y", TZ="UTC", SLURM_JWT="t", SACCT_FORMAT="z")
    assert server.bodies[0]["env"] == {"SQUEUE_FORMAT": "%i", "SLURM_X": "y", "TZ": "UTC"}


@pytest.mark.parametrize(("name", "is_sent"), [("SLURM_JWT", False), ("BRIDGE_TOKEN", True)])
def test_a_token_for_a_slurm_is_not_shown_to_the_bridge_of_this_host(place: Path, name: str, is_sent: bool):
    """A real Slurm's would be refused here, where the socket says who calls."""
    with Server(place, [DONE]) as server:
        run(place, "squeue", **{name: "secret"})
    assert ("secret" in server.heads[0]) is is_sent


def test_files_are_read_as_the_user_and_sent(place: Path, tmp_path: Path):
    (tmp_path / "job.sh").write_bytes(b"#!/bin/sh\n\xff\n")
    needs = ["script: job.sh", "file: gone", "stdin"]
    with Server(place, [{"need": needs}, DONE]) as server:
        assert run(place, "sbatch", "job.sh", cwd=tmp_path, stdin=b"typed").returncode == 0
    assert server.bodies[1]["files"] == {
        "script: job.sh": {"base64": base64.b64encode(b"#!/bin/sh\n\xff\n").decode()},
        "file: gone": {"error": "ENOENT"},
        "stdin": {"base64": base64.b64encode(b"typed").decode()},
    }
    assert server.bodies[0]["key"] == server.bodies[1]["key"]


def test_what_was_sent_stays_with_what_is_asked_for_later(place: Path, tmp_path: Path):
    (tmp_path / "hosts").write_bytes(b"n1\n")
    with Server(place, [{"need": ["file: hosts"]}, {"need": ["script: gone.sh"]}, DONE]) as server:
        run(place, "sbatch", "-F", "hosts", "gone.sh", cwd=tmp_path)
    assert server.bodies[2]["files"] == {
        "file: hosts": {"base64": base64.b64encode(b"n1\n").decode()},
        "script: gone.sh": {"error": "ENOENT"},
    }


def test_a_folder_is_no_file(place: Path, tmp_path: Path):
    with Server(place, [{"need": [f"script: {tmp_path}"]}, DONE]) as server:
        run(place, "sbatch", str(tmp_path))
    assert server.bodies[1]["files"] == {f"script: {tmp_path}": {"error": "EISDIR"}}


def test_bytes_that_are_no_text_go_there_and_back(place: Path):
    with Server(place, [{"out": "job \udcff\n", "err": "", "code": 0}]) as server:
        assert run(place, "sbatch", b"-J", b"x\xff").stdout == b"job \xff\n"
    assert server.bodies[0]["argv"] == ["-J", "x\udcff"]


def test_it_comes_again_with_the_state_it_was_given(place: Path):
    again = {"out": "1\n", "err": "", "code": 0, "again_in_seconds": 0.0, "state": {"n": 1}}
    with Server(place, [again, {"out": "2\n", "err": "", "code": 3}]) as server:
        assert said(run(place, "squeue", "-i", "1")) == (b"1\n2\n", b"", 3)
    assert [body.get("state") for body in server.bodies] == [None, {"n": 1}]


@pytest.mark.parametrize(("typed", "answer"), [(b"y\n", "y"), (b"", None)])
def test_a_question_is_put_to_the_user(place: Path, typed: bytes, answer: str | None):
    ask = {"out": "", "err": "", "code": 0, "ask": "Cancel? ", "state": {"answers": []}}
    with Server(place, [ask, {"out": "", "err": "", "code": 0}]) as server:
        assert run(place, "scancel", "-i", "5", stdin=typed).stdout == b"Cancel? "
    assert (server.bodies[1]["answer"], server.bodies[1]["state"]) == (answer, {"answers": []})


def test_a_file_that_comes_back_is_written(place: Path, tmp_path: Path):
    write = [{"path": "s.sh", "base64": base64.b64encode(b"\xff").decode()}]
    with Server(place, [{"out": "ok\n", "err": "", "code": 0, "write": write}]):
        assert said(run(place, "scontrol", "write", "batch_script", "5", "s.sh", cwd=tmp_path)) == (b"ok\n", b"", 0)
    assert (tmp_path / "s.sh").read_bytes() == b"\xff"


def test_a_submission_whose_answer_is_lost_is_sent_again_with_its_key(place: Path):
    with Server(place, [None, DONE]) as server:
        assert run(place, "sbatch", "job.sh").stdout == b"Submitted batch job 5\n"
    assert server.bodies[0]["key"] == server.bodies[1]["key"]


def test_an_order_whose_answer_is_lost_is_not_repeated(place: Path):
    with Server(place, [None]) as server:
        done = run(place, "scontrol", "update", "JobId=5", "TimeLimit=+5")
    assert said(done) == (
        b"",
        b"scontrol: error: the connection to the bridge broke; the order may have been carried out\n",
        1,
    )
    assert len(server.bodies) == 1


def test_a_wait_outlasts_a_bridge_that_is_away(monkeypatch: pytest.MonkeyPatch):
    again = {"out": "Submitted batch job 5\n", "err": "", "again_in_seconds": 0.0, "state": {"job_id": 5}}
    answers = iter([again, client.NoBridge(""), client.NoBridge(""), {"out": "", "err": "", "code": 4}])
    asked = []

    def ask(connection: object, name: str, body: dict[str, object]) -> tuple[None, object]:
        asked.append(body.get("state"))
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return None, answer

    monkeypatch.setattr(client, "_ask", ask)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert client.main("sbatch", ["--wait", "job.sh"]) == 4
    assert asked == [None, {"job_id": 5}, {"job_id": 5}, {"job_id": 5}]


CONNECT_FAILURE = b"Unable to contact slurm controller (connect failure)\n"


@pytest.mark.parametrize(
    ("argv", "stderr", "code"),
    [
        (["sbatch", "job.sh"], b"sbatch: error: Batch job submission failed: " + CONNECT_FAILURE, 1),
        (["squeue"], b"slurm_load_jobs error: " + CONNECT_FAILURE, 1),
        (["scancel", "1"], b"scancel: error: Kill job error on job id 1: " + CONNECT_FAILURE, 8),
        (["sinfo"], b"slurm_load_partitions: " + CONNECT_FAILURE, 1),
        (["scontrol", "show", "job", "1"], b"slurm_load_jobs error: " + CONNECT_FAILURE, 1),
    ],
)
def test_no_bridge(place: Path, argv: list[str], stderr: bytes, code: int):
    assert said(run(place, *argv)) == (b"", stderr, code)


def test_no_bridge_for_a_ping(place: Path):
    done = run(place, "scontrol", "ping")
    stars = "*" * 41
    to_root = f"{stars}\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n{stars}\n" if os.geteuid() == 0 else ""
    down = f"Slurmctld(primary) at {os.uname().nodename} is DOWN\n"
    assert said(done) == ((down + to_root).encode(), b"", 1)


@pytest.mark.parametrize("name", [name for name in shims.COMMANDS if name not in ("srun", "scrontab", "salloc")])
def test_the_version_needs_no_bridge(place: Path, name: str):
    for word in ("-V", "--version"):
        assert said(run(place, name, word)) == (ANNOUNCEMENT.encode(), b"", 0)


@pytest.mark.parametrize(
    ("argv", "text", "code"),
    [
        (["sprio"], "Couldn't get priority factors from controller: ", 255),
        (["sdiag"], "slurm_get_statistics: ", 255),
        (["sshare"], "Couldn't get shares from controller: ", 255),
        (["strigger", "--get"], "slurm_get_triggers: ", 1),
        (["sattach", "1.0"], "sattach: error: Could not get job step info: ", 1),
    ],
)
def test_other_commands_say_that_nobody_answers(place: Path, argv: list[str], text: str, code: int):
    failure = f"{text}Unable to contact slurm controller (connect failure)\n"
    assert said(run(place, *argv)) == (b"", failure.encode(), code)


def test_slurm_exit_error_counts_where_there_is_no_bridge(place: Path):
    assert run(place, "sbatch", "job.sh", SLURM_EXIT_ERROR="42").returncode == 42


def test_a_bridge_that_comes_back_is_found(place: Path):
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(CLIENT), "squeue"],
        env={"BRIDGE_SOCKET": str(place)},
        stdout=subprocess.PIPE,
    )
    try:
        with Server(place, [{"out": "back\n", "err": "", "code": 0}]):
            assert process.communicate(timeout=TIMEOUT_SECONDS)[0] == b"back\n"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
    ],
)
def test_what_is_no_bridge_is_called_so(place: Path, answer: bytes):
    with Server(place, [answer]):
        done = run(place, "squeue")
    assert done.returncode == 1
    assert done.stderr.startswith(b"squeue: error: ") and b"bridge" in done.stderr


def test_a_refused_caller_is_told_why(place: Path):
    text = b'{"code": "x", "sentence": "the token has expired", "field": null}'
    answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    with Server(place, [answer]):
        assert said(run(place, "squeue")) == (b"", b"squeue: error: the token has expired\n", 1)


def test_a_token_goes_into_the_head_and_not_into_the_environment(place: Path, tmp_path: Path):
    (tmp_path / "token").write_text("abc\n")
    with Server(place, [DONE, DONE]) as server:
        run(place, "sbatch", "x", BRIDGE_TOKEN_FILE=str(tmp_path / "token"))
        run(place, "sbatch", "x", BRIDGE_TOKEN="def")
    assert "\r\nAuthorization: Bearer abc" in server.heads[0]
    assert "\r\nAuthorization: Bearer def" in server.heads[1]
    assert "BRIDGE_TOKEN" not in server.bodies[1]["env"]


@pytest.mark.parametrize("url", ["bridge.example:80", "https://", "https://h:x", "http://bridge.example"])
def test_a_bad_address_is_refused_in_a_sentence(place: Path, url: str):
    done = run(place, "squeue", BRIDGE_SOCKET="", BRIDGE_URL=url)
    assert done.returncode == 1
    assert done.stderr.startswith((b"squeue: error: BRIDGE_URL is", b"slurm_load_jobs error"))


def test_a_reader_that_leaves_is_no_error(place: Path):
    with Server(place, [{"out": "x" * 4_000_000, "err": "", "code": 0}]):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(CLIENT), "squeue"],
            env={"BRIDGE_SOCKET": str(place)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(TIMEOUT_SECONDS) == 141


def test_ctrl_c_is_quiet(place: Path):
    again: dict[str, Any] = {"out": "x\n", "err": "", "code": 0, "again_in_seconds": 60.0, "state": {}}
    with Server(place, [again]):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(CLIENT), "squeue", "-i", "60"],
            env={"BRIDGE_SOCKET": str(place)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"x\n"
        process.send_signal(2)
        assert process.communicate(timeout=TIMEOUT_SECONDS) == (b"", b"")
        assert process.returncode == 130


def test_the_client_imports_little():
    code = f"import sys; sys.path.append({str(CLIENT.parent)!r}); import client; print(' '.join(sorted(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-ISc", code], capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
    ).stdout.split()
    assert not {"ssl", "typing", "http", "argparse", "urllib", "email", "asyncio", "base64"} & set(loaded)


def test_a_command_costs_little_more_than_an_interpreter(place: Path):
    """`bench submit-cli` says how many milliseconds it is; here only what would double it is caught."""
    answers: list[Answer] = [DONE] * 12
    ours, bare = [], []
    with Server(place, answers):
        for _ in answers:
            ours.append(_seconds(lambda: run(place, "sbatch", "job.sh")))
            bare.append(_seconds(lambda: subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)))
    assert min(ours) < 5 * min(bare)


def _seconds(what: Callable[[], object]) -> float:
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin
