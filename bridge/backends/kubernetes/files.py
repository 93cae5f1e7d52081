"""Output files of jobs where the partition's volumes are mounted here too: opened with the rights of the job's user."""

import asyncio
import os
import sys
from typing import Any

from bridge.backends.port import Rights
from bridge.core.errors import Gone

_READ = """
import os, stat, sys
try:
    fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        sys.exit("not a regular file")
    os.lseek(fd, int(sys.argv[2]), os.SEEK_SET)
    sys.stdout.buffer.write(os.read(fd, int(sys.argv[3])))
except OSError as error:
    sys.exit(error.strerror)
"""


async def read(rights: Rights, path: str, offset: int, limit_bytes: int) -> bytes:
    """A part of the file. Raises Gone."""
    changed: dict[str, Any] = {}
    if os.geteuid() != rights.uid:
        groups = sorted({rights.gid, *rights.groups})
        changed = {"user": rights.uid, "group": rights.gid, "extra_groups": groups}
    words = [sys.executable, "-I", "-S", "-c", _READ, path, str(offset), str(limit_bytes)]
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, **changed
        )
    except (OSError, ValueError) as error:
        raise Gone(f"{path}: {error}") from error
    out, told = await process.communicate()
    if process.returncode != 0:
        raise Gone(f"{path}: {told.decode(errors='replace').strip() or 'cannot be read here'}")
    return out
