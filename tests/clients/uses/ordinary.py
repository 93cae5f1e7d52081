"""Runs the uses of a program one after the other. Imported by the scripts beside it, in the program's interpreter."""

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

Use = Callable[[Path], None]


def until(look: Callable[[], bool], said: Callable[[], object] = str, seconds: float = 60.0) -> None:
    """Looks again and again, where there is nothing to wait for: Slurm's commands, files. Else fails with `said()`."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)


def run(*uses: Use) -> None:
    """Each gets a new folder. A failure is told, and the next one is tried all the same; ends the process."""
    failed = 0
    for use in uses:
        folder = Path.cwd() / use.__name__
        folder.mkdir()
        began = time.monotonic()
        try:
            use(folder)
        except Exception:
            failed += 1
            print(f"{use.__name__} FAILED\n{traceback.format_exc()}")
        else:
            print(f"{use.__name__} ok, {time.monotonic() - began:.1f} s")
    sys.exit(1 if failed else 0)
