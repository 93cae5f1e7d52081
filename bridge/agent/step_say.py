"""srun's own lines on standard error, and the end of srun that comes with one."""

from __future__ import annotations

import contextlib
import os


class Fatal(Exception):
    """srun ends: the line (or lines) for standard error, and the exit code."""

    def __init__(self, line: str, code: int = 1) -> None:
        super().__init__(line)
        self.line, self.code = line, code


def say(text: str) -> None:
    """Each line after `srun: `, all in one write, so that other writers do not come between."""
    data = "".join(f"srun: {line}\n" for line in text.split("\n"))
    with contextlib.suppress(OSError):
        os.write(2, data.encode("utf-8", "surrogateescape"))
