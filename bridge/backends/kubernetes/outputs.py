"""Output that no volume takes, kept by the bridge until its job is forgotten: files in a folder of the bridge's own.

An attempt has a file for each stream, beside a small one that says how far it goes in the pod's own: what is told
twice is taken once, and what was lost is a sentence in its place. A crash may leave a file longer than that says; the
rest is cut off then. Everything here blocks; nothing here knows the cluster.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")


@dataclass(slots=True)
class Progress:
    until: int = 0
    """So far the pod's own file is here."""
    stored: int = 0
    """Bytes of ours that are good."""
    lost: int = 0


class Outputs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[int, int], dict[Stream, Progress]] = {}

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    def begin(self, job_id: int, attempt: int, *, appends: bool) -> None:
        """`appends`: what earlier attempts wrote stays before it."""
        folder = self._of(job_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not appends and attempt > 1:
            for path in folder.iterdir():
                if int(path.name.partition(".")[0]) < attempt:
                    path.unlink()

    def until(self, job_id: int, attempt: int, stream: Stream) -> int:
        return self._progress(job_id, attempt)[stream].until

    def lost(self, job_id: int, attempt: int) -> int:
        return sum(one.lost for one in self._progress(job_id, attempt).values())

    def write(self, job_id: int, attempt: int, stream: Stream, at: int, data: bytes) -> None:
        """Bytes from a place of the pod's own file. What is known is left out, what is missing before is counted."""
        known = self._progress(job_id, attempt)
        progress = known[stream]
        if at + len(data) <= progress.until:
            return
        end = at + len(data)
        data = data[max(0, progress.until - at) :]
        if at > progress.until:
            missing = at - progress.until
            progress.lost += missing
            data = f"\n[{missing} bytes were lost here: nobody fetched them in time]\n".encode() + data
        path = self._path(job_id, attempt, stream)
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
            file.truncate(progress.stored)
            file.seek(progress.stored)
            file.write(data)
        progress.stored += len(data)
        progress.until = end
        self._save(job_id, attempt)

    def miss(self, job_id: int, attempt: int, stream: Stream, size: int) -> int:
        """The pod's own file had this size, and no more of it will come. How much is missing at its end."""
        progress = self._progress(job_id, attempt)[stream]
        missing = size - progress.until
        if missing > 0:
            self.write(job_id, attempt, stream, size, b"")
        return max(0, missing)

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    def read(self, job_id: int, stream: Stream, offset: int, limit: int) -> bytes | None:
        """Of all attempts that are kept, one after the other. None: there is nothing of that job."""
        folder = self._of(job_id)
        if not folder.is_dir():
            return None
        found = b""
        for path in sorted(folder.glob(f"*.{stream}"), key=lambda path: int(path.name.partition(".")[0])):
            size = path.stat().st_size
            if offset >= size:
                offset -= size
                continue
            with path.open("rb") as file:
                file.seek(offset)
                found += file.read(limit - len(found))
            offset = 0
            if len(found) >= limit:
                break
        return found

    def forget(self, job_ids: set[int]) -> int:
        """Everything of jobs that are not among these. How many were removed."""
        gone = [path for path in self._folder.glob("*") if path.name.isdigit() and int(path.name) not in job_ids]
        for path in gone:
            shutil.rmtree(path, ignore_errors=True)
        return len(gone)

    @property
    def jobs(self) -> set[int]:
        return {int(path.name) for path in self._folder.glob("*") if path.name.isdigit()}

    # ── files ─────────────────────────────────────────────────────────────────────────────────────

    def _of(self, job_id: int) -> Path:
        return self._folder / str(job_id)

    def _path(self, job_id: int, attempt: int, ending: str) -> Path:
        return self._of(job_id) / f"{attempt}.{ending}"

    def _progress(self, job_id: int, attempt: int) -> dict[Stream, Progress]:
        key = (job_id, attempt)
        if key not in self._known:
            try:
                told = json.loads(self._path(job_id, attempt, "json").read_bytes())
            except (OSError, ValueError):
                told = {}
            self._known[key] = {stream: Progress(**told.get(stream, {})) for stream in STREAMS}
        return self._known[key]

    def _save(self, job_id: int, attempt: int) -> None:
        path = self._path(job_id, attempt, "json")
        part = path.with_suffix(".part")
        part.write_text(json.dumps({name: asdict(one) for name, one in self._progress(job_id, attempt).items()}))
        part.replace(path)

    def let_go(self, job_id: int, attempt: int) -> None:
        """No more will come of it."""
        self._known.pop((job_id, attempt), None)
