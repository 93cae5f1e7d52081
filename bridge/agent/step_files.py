"""Where each standard file of each task leads: to srun, to a file that srun writes for all, or to one of the
task's own. By -i, -o and -e of srun's manual page.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional, Union

from bridge.agent import step_request
from bridge.agent.step_options import Given

Mode = Union[str, int]
"""all, none, a task's number, or a file's pattern."""

_NAMES = {"input": "stdin", "output": "stdout", "error": "stderr"}


class Files:
    def __init__(self, given: Given, tasks: int, directory: str, common: Mapping[str, Any]) -> None:
        """`directory`: what relative names start from. `common`: values of codes that are the same in all tasks."""
        self._given, self._tasks, self._directory, self._common = given, tasks, directory, common

    @property
    def appends(self) -> bool:
        return (self._given.get("open-mode") or "").lower().startswith("a")

    def mode(self, name: str) -> Mode:
        """Of input, output or error. Errors go where the output goes unless told otherwise."""
        text = self._given.get(name)
        if text is None and name == "error":
            text = self._given.get("output")
            if text is not None and text.isdigit() and int(text) < self._tasks:
                return "all"
        if text is None or text.lower() in ("all", "-"):
            return "all"
        if text.lower() == "none":
            return "none"
        if text.isascii() and text.isdigit() and int(text) < self._tasks:
            return int(text)
        return text

    def of_task(self, part: Mapping[str, Any], node_rank: int, rank: int) -> Dict[str, Optional[str]]:
        """For each standard file: a path that the task opens itself, or None for a pipe to srun."""
        files: Dict[str, Optional[str]] = {}
        for name, stream in _NAMES.items():
            mode = self.mode(name)
            path: Optional[str] = None
            if mode == "none" or (isinstance(mode, int) and name == "input" and mode != rank):
                path = os.devnull
            elif isinstance(mode, str) and mode != "all" and self._is_of_task(name, mode):
                path = self._path(mode, part, node_rank, rank)
            files[stream] = path
        return files

    def input_of_srun(self) -> Optional[str]:
        """The file that srun reads for all tasks; None: its own standard input, or none."""
        mode = self.mode("input")
        if not isinstance(mode, str) or mode in ("all", "none") or self._is_of_task("input", mode):
            return None
        return step_request.file_name(mode, self._common, self._directory)

    def of_srun(self, name: str, part: Mapping[str, Any], node_rank: int, rank: int) -> Optional[str]:
        """The file into which srun writes a task's output (or errors); None: its own."""
        mode = self.mode(name)
        if not isinstance(mode, str) or mode in ("all", "none") or not self._is_written_by_srun(mode):
            return None
        return self._path(mode, part, node_rank, rank)

    def _is_of_task(self, name: str, pattern: str) -> bool:
        """Whether the task opens it itself."""
        return step_request.is_per_task(pattern) if name == "input" else not self._is_written_by_srun(pattern)

    def _is_written_by_srun(self, pattern: str) -> bool:
        """What several tasks write to, and what is to be labelled."""
        return self._given.has("label") or not step_request.is_per_task(pattern)

    def _path(self, pattern: str, part: Mapping[str, Any], node_rank: int, rank: int) -> str:
        values = {**self._common, "N": part["name"], "n": node_rank, "t": rank}
        return step_request.file_name(pattern, values, self._directory)
