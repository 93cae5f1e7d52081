"""The lines that a job finds in its output when something is done to it, word for word as Slurm 25.11 has them."""

from __future__ import annotations

import time

_WHY = {
    "cancel": "DUE to SIGNAL Terminated",
    "time_limit": "DUE TO TIME LIMIT",
    "requeue": "DUE TO JOB REQUEUE",
    "node_fail": "DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS",
}


def _stamp(at: float, milliseconds: bool) -> str:
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at))
    return f"{text}.{int(at % 1 * 1000):03d}" if milliseconds else text


def error(at: float, sentence: str) -> bytes:
    return f"[{_stamp(at, True)}] error: {sentence}\n".encode("utf-8", "surrogateescape")


def cancelled(at: float, job_id: int, node: str, why: str) -> bytes:
    return error(at, f"*** JOB {job_id} ON {node} CANCELLED AT {_stamp(at, False)} {_WHY[why]} ***")


def out_of_memory(at: float, job_id: int) -> bytes:
    step = f"StepId={job_id}.batch"
    return error(at, f"Detected 1 oom_kill event in {step}. Some of the step tasks have been OOM Killed.")


def step_cancelled(at: float, step: str, node: str, why: str) -> bytes:
    return error(at, f"*** STEP {step} ON {node} CANCELLED AT {_stamp(at, False)} {why} ***")
