"""Writing the folder of one attempt: the launch file, the script, key and token, a folder a node.

Blocking; called in a thread. What its readers take it for: `bridge/agent/spool.py` and `launch.py`.
"""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from bridge.agent import launch, namespaces
from bridge.agent import spool as agent_spool
from bridge.core import group as core_group
from bridge.core.group import Group

_GONE = ".gone"
_NAME = re.compile(r"([1-9][0-9]*)\.([1-9][0-9]*)")


def name_of(job_id: int, attempt: int) -> str:
    return f"{job_id}.{attempt}"


def attempts(spool_folder: str) -> list[tuple[int, int]]:
    """(job id, attempt) of every folder that is there."""
    found = (_NAME.fullmatch(entry) for entry in os.listdir(spool_folder))
    return sorted((int(match[1]), int(match[2])) for match in found if match)


def launch_file(group: Group, data_folder: str, ports: Sequence[int], boot_id: str | None) -> dict[str, Any]:
    return {
        **core_group.launch_file(group, [("127.0.0.1", port) for port in ports]),
        "poke": f"{data_folder}/run/poke.sock",
        "bin": f"{data_folder}/bin",
        "socket": f"{data_folder}/run/bridge.sock",
        "slurm_conf": f"{data_folder}/slurm.conf",
        "boot_id": boot_id,
    }


def write(spool_folder: str, group: Group, file: dict[str, Any]) -> bool:
    """Make the folder, or make it anew where the script was not started: False. The caller syncs `spool_folder`."""
    path = f"{spool_folder}/{name_of(group.job_id, group.attempt)}"
    is_new = True
    try:
        os.mkdir(path, 0o711)
    except FileExistsError:
        is_new = False
    folder = agent_spool.open_folder(path)
    try:
        for index in range(len(group.nodes)):
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"node{index}", 0o700, dir_fd=folder)
        owner = (group.uid, group.gid)
        _write_file(folder, launch.SCRIPT, group.batch.script, 0o500, owner)
        _write_file(folder, launch.KEY, group.key.encode(), 0o400, owner)
        _write_file(folder, launch.TOKEN, group.job_token.encode(), 0o400, owner)
        # The last, as it is what makes the attempt one that can be started.
        _write_file(folder, launch.NAME, json.dumps(file).encode(), 0o600, None)
        os.fsync(folder)
    finally:
        os.close(folder)
    return is_new


def _write_file(folder: int, name: str, data: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    """Whole or not at all for every reader. Not synced: after a stop of the machine only the folder's being there,
    and what the journal says, count; both are synced before a script starts."""
    part = f".{name}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=folder)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        if owner is not None and os.geteuid() == 0:
            os.fchown(fd, *owner)
        os.fchmod(fd, mode)
    os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)


def sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def mark_stopped(path: str) -> None:
    """For a monitor that is not there yet. Raises FileNotFoundError when the attempt has no folder."""
    folder = agent_spool.open_folder(path)
    try:
        os.close(os.open(agent_spool.STOP_MARK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder))
        os.fsync(folder)
    finally:
        os.close(folder)


def remove(path: str) -> None:
    """In one step for whoever looks for attempts, however long it takes: a bridge that is killed meanwhile leaves no
    half of one, and the next sweeps the rest."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, f"{path}{_GONE}")
    _remove(f"{path}{_GONE}")


def sweep(spool_folder: str) -> None:
    """What an earlier bridge was about to remove."""
    for entry in os.listdir(spool_folder):
        if entry.endswith(_GONE):
            _remove(f"{spool_folder}/{entry}")


def _remove(path: str) -> None:
    """Follows no links. What a plain user's job has put there against us stays, with a name that is not ours."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.ENOTEMPTY):
            raise
        with contextlib.suppress(OSError):
            os.rename(path, f"{path.removesuffix(_GONE)}.left")


def node_folders(path: str) -> Iterator[tuple[int, int]]:
    """(index, open descriptor) of each node's folder, one after the other; closed behind the caller."""
    folder = agent_spool.open_folder(path)
    try:
        index = 0
        while True:
            try:
                node = agent_spool.open_folder(f"node{index}", folder)
            except FileNotFoundError:
                return
            try:
                yield index, node
            finally:
                os.close(node)
            index += 1
    finally:
        os.close(folder)


def current_boot_id() -> str | None:
    return namespaces.boot_id()
