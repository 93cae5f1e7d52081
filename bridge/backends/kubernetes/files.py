"""Output files of jobs where the partition's volumes are mounted here too: opened with the rights of the job's user."""

import asyncio
import os
import sys
from typing import Any

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


async def read(uid: int, gid: int, path: str, offset: int, limit_bytes: int) -> bytes:
    """A part of the file. Raises Gone."""
    rights: dict[str, Any] = {} if os.geteuid() == uid else {"user": uid, "group": gid, "extra_groups": [gid]}
    words = [sys.executable, "-I", "-S", "-c", _READ, path, str(offset), str(limit_bytes)]
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, **rights
        )
    except (OSError, ValueError) as error:
        raise Gone(f"{path}: {error}") from error
    out, told = await process.communicate()
    if process.returncode != 0:
        raise Gone(f"{path}: {told.decode(errors='replace').strip() or 'cannot be read here'}")
    return out
