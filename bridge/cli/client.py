"""Slurm's commands (sbatch, squeue, scancel, sacct, scontrol, sinfo ...) as the user's side of the bridge.

    python -I -S client.py NAME ARGUMENTS...

Knows no options: it sends its arguments and surroundings to the bridge and prints what comes back. Files that
an option or operand names are read here, as the user. Standard library only and few modules, because its
start-up is most of a command's time; TLS is imported only for TCP. Python 3.9.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # checkers take it for true; importing typing would cost every command a millisecond
    from collections.abc import Iterable, Mapping
    from typing import Any, BinaryIO, TextIO

_ERRORS = (OSError, ValueError)
_TRIES_AFTER_SECONDS = (0.0, 0.05, 0.15, 0.3, 0.6, 1.0)
"""Waits before the tries to connect: a bridge that is just being restarted is back within two seconds."""

_WAIT_AGAIN_SECONDS = 2.0
"""Between the rounds of tries by which `sbatch --wait` outlasts a bridge that is away."""

_ANSWER_TIMEOUT_SECONDS = 120.0
_MOST_BYTES_READ = 64 * 1024 * 1024

_ENVIRONMENT_OF = {
    "squeue": ("SLURM_", "SQUEUE_"),
    "sacct": ("SLURM_", "SACCT_"),
    "sacctmgr": ("SLURM_",),
    "sinfo": ("SLURM_", "SINFO_"),
    "scancel": ("SLURM_", "SCANCEL_"),
    "scontrol": ("SLURM_", "SCONTROL_"),
    "sattach": ("SLURM_",),
    "sbcast": ("SLURM_", "SBCAST_"),
    "scrontab": ("SLURM_",),
    "sdiag": ("SLURM_",),
    "sprio": ("SLURM_",),
    "sshare": ("SLURM_",),
    "sstat": ("SLURM_",),
    "strigger": ("SLURM_",),
}
"""What a command's answer may depend on; sbatch sends everything, because a job gets it."""

_FAILURES = {
    "sattach": "sattach: error: Could not get job step info: ",
    "sdiag": "slurm_get_statistics: ",
    "sprio": "Couldn't get priority factors from controller: ",
    "sshare": "Couldn't get shares from controller: ",
    "strigger": "slurm_get_triggers: ",
}
"""What stands before the failure to connect."""

_VERSION = "25.11.8"
"""Of the Slurm whose words we speak."""

_CONNECT_FAILURE = "Unable to contact slurm controller (connect failure)"


class NoBridge(Exception):
    """Nobody answers; the text says where was asked."""


class BadAnswer(Exception):
    """Somebody answered who is not our bridge, or does not want us; the text is for people."""


def main(name: str, argv: list[str]) -> int:
    if argv in (["-V"], ["--version"]) and name != "scrontab":
        _print(sys.stdout, f"slurm {_VERSION}\n")  # what probes ask first, also where no bridge runs
        return 0
    body = _first_body(name, argv)
    connection: socket.socket | None = None
    while True:
        try:
            connection, answer = _ask(connection, name, body)
        except NoBridge as failure:
            if name == "sbatch" and "state" in body:  # --wait outlasts a bridge that is away, as in Slurm
                connection = None
                time.sleep(_WAIT_AGAIN_SECONDS)
                continue
            return _say_unreachable(name, argv, failure)
        except BadAnswer as failure:
            _print(sys.stderr, f"{name}: error: {failure}\n")
            return 1
        if "need" in answer:
            # What was read before is still wanted: each call is answered from the whole of it.
            body["files"] = {**body.get("files", {}), **_read_files(answer["need"])}
            continue
        _print(sys.stdout, answer.get("out", ""))
        _print(sys.stderr, answer.get("err", ""))
        code = _write_files(name, answer.get("write", ())) or answer.get("code", 0)
        if "copy" in answer:
            code = _copy(name, answer["copy"])
        if "again_in_seconds" in answer:
            if answer["again_in_seconds"] > 0:
                time.sleep(answer["again_in_seconds"])
            body["state"] = answer.get("state")
            body.pop("files", None)
        elif "ask" in answer:
            body["state"], body["answer"] = answer.get("state"), _typed(answer["ask"])
        else:
            return code


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────


def _first_body(name: str, argv: list[str]) -> dict[str, Any]:
    body = {
        "argv": argv,
        "env": _environment(name),
        "cwd": _working_directory(),
        "tty_err": os.isatty(2),
        "pid": os.getpid(),
    }
    if name == "sbatch":
        body["umask"] = _umask()
        body["rlimits"] = _limits()
        body["host"] = os.uname().nodename
        # The same for every try of this process, so that a submission sent twice is one job.
        body["key"] = os.urandom(16).hex()
    return body


def _environment(name: str) -> dict[str, str]:
    environment = dict(os.environ)
    prefixes = _ENVIRONMENT_OF.get(name)
    if prefixes is not None:
        environment = {k: v for k, v in environment.items() if k.startswith(prefixes) or k in ("TZ", "USER")}
        environment.pop("SLURM_JWT", None)
    # Secrets of the way to the bridge are nobody's business but the connection's.
    environment.pop("BRIDGE_TOKEN", None)
    return environment


def _working_directory() -> str:
    """As the shell shows it, where that is the same place."""
    try:
        here = os.getcwd()
    except OSError:
        return os.environ.get("PWD", "/")
    shown = os.environ.get("PWD", "")
    try:
        if shown.startswith("/") and os.path.samefile(shown, here):
            return shown
    except _ERRORS:
        pass
    return here


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _limits() -> dict[str, list[int]]:
    import resource

    limits = {}
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            soft, hard = resource.getrlimit(getattr(resource, name))
            limits[name] = [-1 if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard)]
    return limits


def _read_files(needs: list[str]) -> dict[str, dict[str, str]]:
    files = {}
    for need in needs:
        kind, _, path = need.partition(": ")
        files[need] = _read_file(0 if kind == "stdin" else path)
    return files


def _read_file(path: int | str) -> dict[str, str]:
    import base64
    import errno

    try:
        with open(path, "rb", closefd=path != 0) as file:
            content = file.read(_MOST_BYTES_READ + 1)
    except OSError as error:
        return {"error": errno.errorcode.get(error.errno or 0, "EIO")}
    except ValueError:  # a NUL in the name
        return {"error": "ENOENT"}
    if len(content) > _MOST_BYTES_READ:
        return {"error": "EFBIG"}
    return {"base64": base64.b64encode(content).decode("ascii")}


def _typed(question: str) -> str | None:
    """A line from standard input without its end; None at its end."""
    _print(sys.stdout, question)
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


# ── the way to the bridge ─────────────────────────────────────────────────────────────────────────


def _ask(connection: socket.socket | None, name: str, body: Mapping[str, Any]) -> tuple[socket.socket, dict[str, Any]]:
    """(the connection, kept open for a next question, and the answer).

    Where the connection breaks, the question is put again: looking and cancelling may be done twice, and a
    submission carries a key. Other orders are not repeated.
    """
    text = json.dumps(body).encode("ascii")
    failure: OSError | None = None
    for wait in _TRIES_AFTER_SECONDS:
        if wait:
            time.sleep(wait)
        sent = False
        try:
            if connection is None:
                connection = _connect()
            _send(connection, name, text)
            sent = True
            return connection, _receive(connection)
        except OSError as error:
            failure = error
            if connection is not None:
                connection.close()
            connection = None
            if sent and name == "scontrol":
                raise BadAnswer("the connection to the bridge broke; the order may have been carried out") from None
            if isinstance(error, PermissionError) or (isinstance(error, FileNotFoundError) and wait >= 0.3):
                break  # no bridge was ever here, or it is not for us
    raise NoBridge(str(failure))


def socket_path() -> str:
    """$BRIDGE_SOCKET; else this user's own bridge, where one has run; else that of the host."""
    given = os.environ.get("BRIDGE_SOCKET")
    if given:
        return given
    host = "/var/lib/bridge/run/bridge.sock"
    if os.geteuid() == 0:
        return host
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(os.environ.get("HOME", "/"), ".local", "share")
    own = os.path.join(data, "bridge", "run", "bridge.sock")
    return own if os.path.exists(own) else host


def _connect() -> socket.socket:
    url = os.environ.get("BRIDGE_URL")
    if url and not os.environ.get("BRIDGE_SOCKET"):
        return _connect_tcp(url)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_ANSWER_TIMEOUT_SECONDS)
    try:
        connection.connect(socket_path())
    except OSError:
        connection.close()
        raise
    return connection


def _connect_tcp(url: str) -> socket.socket:
    scheme, _, rest = url.partition("://")
    place = rest.split("/", 1)[0]
    host, colon, port = place.rpartition(":")
    if scheme not in ("http", "https") or not place or (colon and not port.isdigit()):
        raise BadAnswer(f"BRIDGE_URL is {url!r}; expected https://HOST:PORT")
    host = (host if colon else place).strip("[]")
    number = int(port) if colon else 443 if scheme == "https" else 80
    connection = socket.create_connection((host, number), _ANSWER_TIMEOUT_SECONDS)
    if scheme == "http":
        if host not in ("localhost", "127.0.0.1", "::1"):
            connection.close()
            raise BadAnswer("BRIDGE_URL is http: a token goes over TLS only; write https")
        return connection
    return _with_tls(connection, host)


def _with_tls(connection: socket.socket, host: str) -> socket.socket:
    import ssl

    context = ssl.create_default_context(cafile=os.environ.get("BRIDGE_CA_FILE") or None)
    try:
        return context.wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise BadAnswer(
            f"the certificate of {host} is not trusted ({error}); BRIDGE_CA_FILE names one to trust"
        ) from None


def _token(is_local: bool) -> str:
    """Over the socket of this host nobody needs one, and SLURM_JWT may be for a Slurm that stands beside the bridge."""
    token = os.environ.get("BRIDGE_TOKEN") or (None if is_local else os.environ.get("SLURM_JWT"))
    path = os.environ.get("BRIDGE_TOKEN_FILE")
    if not token and path:
        try:
            with open(path, encoding="ascii") as file:
                token = file.read()
        except _ERRORS as error:
            raise BadAnswer(f"the token file cannot be read: {error}") from None
    token = (token or "").strip()
    if not token.isprintable() or not token.isascii():
        raise BadAnswer("the token is not one line of ASCII")
    return token


def _send(connection: socket.socket, name: str, text: bytes) -> None:
    token = _token(connection.family == socket.AF_UNIX)
    head = f"POST /cli/{name} HTTP/1.1\r\nHost: bridge\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(text)}\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    connection.sendall(head.encode("ascii") + b"\r\n" + text)


def _receive(connection: socket.socket) -> dict[str, Any]:
    """The answer's object. The server is ours: it sends a length, or closes."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionResetError("the bridge closed the connection")
        data += more
        if len(data) > 1 << 20 and b"\r\n\r\n" not in data:
            raise BadAnswer("what answers is no bridge")
    head, _, text = data.partition(b"\r\n\r\n")
    status, length = _read_head(head)
    parts, received = [text], len(text)
    while received < length:
        more = connection.recv(min(1 << 20, length - received))
        if not more:
            raise ConnectionResetError("the bridge closed the connection")
        parts.append(more)
        received += len(more)
    return _read_answer(status, b"".join(parts))


def _read_head(head: bytes) -> tuple[int, int]:
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not words[0].startswith("HTTP/1") or len(words) < 2 or not words[1].isdigit():
        raise BadAnswer("what answers is no bridge")
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length" and value.strip().isdigit():
            return int(words[1]), int(value)
    raise BadAnswer("the bridge's answer has no length")


def _read_answer(status: int, text: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise BadAnswer(f"the bridge answered with status {status}")
    if "err" not in answer and "need" not in answer:
        raise BadAnswer(answer.get("sentence") or f"the bridge answered with status {status}")
    return answer


# ── what is printed ───────────────────────────────────────────────────────────────────────────────


def _print(stream: TextIO, text: str) -> None:
    """Byte for byte: names that are no UTF-8 come as lone surrogates and leave as the bytes they were."""
    if text:
        stream.flush()
        _write_all(stream.fileno(), text.encode("utf-8", "surrogateescape"))


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _write_files(name: str, entries: Iterable[dict[str, str]]) -> int:
    """1 when one of them could not be written."""
    import base64

    failed = 0
    for entry in entries:
        try:
            with open(entry["path"], "wb") as file:
                file.write(base64.b64decode(entry["base64"]))
        except _ERRORS as error:
            _print(sys.stderr, f"{name}: error: cannot write {entry['path']}: {error}\n")
            failed = 1
    return failed


def _copy(name: str, order: dict[str, Any]) -> int:
    """One file of this machine to another, where the nodes that need it are this machine."""
    import errno

    if order["host"] != os.uname().nodename:
        _print(sys.stderr, f"{name}: error: the job's nodes are on {order['host']}: copy the file there\n")
        return 1
    try:
        with open(order["source"], "rb") as source:
            return _copy_open_file(name, source, order)
    except _ERRORS as error:
        if isinstance(error, IsADirectoryError):
            said = f"Can't mmap file `{order['source']}`, {os.strerror(errno.ENODEV)}."
        else:
            said = f"Can't open `{order['source']}`: {getattr(error, 'strerror', None) or error}"
        _print(sys.stderr, f"{name}: error: {said}\n")
        return 255


def _copy_open_file(name: str, source: BinaryIO, order: dict[str, Any]) -> int:
    import shutil

    status = os.fstat(source.fileno())
    if not status.st_size:
        _print(sys.stderr, f"{name}: warning: file `{order['source']}` is empty.\n")
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if order["force"] else os.O_EXCL)
    try:
        with os.fdopen(os.open(order["target"], flags, 0o600), "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            os.fchmod(target.fileno(), status.st_mode & 0o777)
        if order["preserve"]:
            os.utime(order["target"], ns=(status.st_atime_ns, status.st_mtime_ns))
    except _ERRORS as error:
        said = getattr(error, "strerror", None) or error
        _print(sys.stderr, f"{name}: error: REQUEST_FILE_BCAST({order['node']}): {said}\n")
        return getattr(error, "errno", None) or 1
    return 0


def _say_unreachable(name: str, argv: list[str], failure: NoBridge) -> int:
    """In the words, and with the exit code, of a Slurm command whose controller is down."""
    code = 1
    if name == "sbatch":
        text = "sbatch: error: Batch job submission failed: " + _CONNECT_FAILURE
        given = os.environ.get("SLURM_EXIT_ERROR", "")
        code = int(given) % 256 if given.isdigit() else 1
    elif name == "scancel":
        ids = [word for word in argv if word[:1].isdigit()]
        text = "\n".join(f"scancel: error: Kill job error on job id {i}: {_CONNECT_FAILURE}" for i in ids)
        text = text or "scancel: error: " + _CONNECT_FAILURE
        code = 1800 % 256
    elif name == "scontrol" and "ping" in argv:
        text = f"Slurmctld(primary) at {os.uname().nodename} is DOWN\n"
        if os.geteuid() == 0:  # nobody else could do what it asks for
            stars = "*" * 41
            text += f"{stars}\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n{stars}\n"
        _print(sys.stdout, text)
        return 1
    elif name == "sinfo":
        text = "slurm_load_partitions: " + _CONNECT_FAILURE
    elif name == "sacct":
        text = "sacct: error: " + _CONNECT_FAILURE
    elif name == "sacctmgr":
        text = "sacctmgr: error: Problem talking to the database: Connection refused"
    elif name in _FAILURES:
        text, code = _FAILURES[name] + _CONNECT_FAILURE, 1 if name in ("sattach", "strigger") else 255
    else:
        text = "slurm_load_jobs error: " + _CONNECT_FAILURE
    _print(sys.stderr, text + "\n")
    if os.isatty(2):
        where = os.environ.get("BRIDGE_URL") if not os.environ.get("BRIDGE_SOCKET") else None
        _print(sys.stderr, f"{name}: note: no bridge answers at {where or socket_path()}: {failure}\n")
    return code


def run(name: str, argv: list[str]) -> int:
    """As `main`, and quiet where the reader of a pipe has gone or the user has pressed Ctrl-C."""
    try:
        return main(name, argv)
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    # No clean-up at the end: nothing is open that needs it, and it costs milliseconds.
    os._exit(run(sys.argv[1], sys.argv[2:]))
