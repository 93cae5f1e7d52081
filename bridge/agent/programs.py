"""From a program's name to what is started, as Slurm's tasks and scripts find it, and the sentence when it is not."""

from __future__ import annotations

import errno
import os
from typing import List, Mapping, Optional


def find(name: str, environment: Mapping[str, str]) -> str:
    """The path to execute, in the current directory. A name without a slash is looked for along PATH, then here;
    where there is no PATH, only here.
    """
    if "/" in name:
        return name if name.startswith("/") else os.path.join(os.getcwd(), name)
    there: List[str] = []
    for directory in environment.get("PATH", "").split(":"):
        path = os.path.join(directory, name)
        if directory and os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            there.append(path)
    return there[0] if there else name


def complaint(path: str, number: int) -> str:
    """The sentence for an exec that failed with an error number."""
    subject = path
    if number == errno.ENOENT:
        interpreter = _interpreter(path)
        subject = f"bad interpreter({interpreter})" if interpreter else path
    return f"execve(): {subject}: {os.strerror(number)}"


def _interpreter(script: str) -> Optional[str]:
    try:
        with open(script, "rb") as file:
            line = file.readline(512)
    except OSError:
        return None
    words = line[2:].split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else None
