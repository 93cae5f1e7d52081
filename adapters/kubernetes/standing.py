"""How an attempt stands, from what the cluster shows of its first pod. Pure.

The agent's own word (the termination message) is believed first. Where there is none, what the kubelet says decides
whether the script can have begun: only if it surely has not, the attempt counts as not started.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from adapters.kubernetes import names
from bridge.core.job import End

Manifest = dict[str, Any]
Phase = Literal["starting", "running", "ended", "lost", "not_started"]
Hindrance = Literal["", "room", "fault"]

NEVER_RAN = ("StartError", "ContainerCannotRun", "CreateContainerError", "CreateContainerConfigError")
"""Reasons of a container that ended without having been one."""
_USED_TO_RUN = "used to be Running"
_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", *NEVER_RAN)
_NO_VOLUME = re.compile(r'persistentvolumeclaim ".*" not found')


@dataclass(frozen=True, slots=True)
class Standing:
    phase: Phase
    at: float | None = None
    """Epoch seconds; None: now, as far as anybody knows."""
    began_at: float | None = None
    end: End | None = None
    why: str = ""
    derived_exit_status: int = 0
    steps: tuple[dict[str, Any], ...] = field(default=())
    """Of the termination message, as journals hold them."""
    output: dict[str, Any] = field(default_factory=dict)
    """Stream → how much of it there was in the pod, where no volume took it."""
    hindrance: Hindrance = ""
    """What it waits for, or did when it was given up: room, or something that time alone may not bring, such as an
    image; `why` says what."""


def is_gated(pod: Manifest) -> bool:
    """It waits until we let the scheduler look at it."""
    return any(gate.get("name") == names.GATE for gate in pod["spec"].get("schedulingGates") or ())


def of_pod(pod: Manifest) -> Standing:
    status: Manifest = pod.get("status") or {}
    terminated = _terminated(status)
    if terminated is not None:
        return _of_terminated(pod, terminated)
    if status.get("phase") in ("Failed", "Succeeded"):
        # Refused by the kubelet, or ended before its container was: there is nothing that could have begun.
        failed = _failed_before(status)
        why = _why(pod) or failed or "its pod failed before it started"
        return Standing("not_started", _ended_at(pod), why=why, hindrance="fault" if failed else "")
    if is_scheduled(pod):
        return Standing("starting", why=_waiting_reason(status), hindrance="fault" if _is_stuck(status) else "")
    if is_deleted(pod):
        return Standing("not_started", why="its pod was deleted before it had a host")
    told = condition(pod, "PodScheduled")
    why = told.get("message", "")
    return Standing("starting", why=why, hindrance="" if told.get("reason") != "Unschedulable" else _hindrance(why))


def _hindrance(told: str) -> Literal["room", "fault"]:
    """The scheduler waits for a volume that nobody has made as it waits for room."""
    return "fault" if _NO_VOLUME.search(told) else "room"


def _of_terminated(pod: Manifest, terminated: Manifest) -> Standing:
    at = seconds_of(terminated.get("finishedAt"))
    told = _message(terminated.get("message"))
    last = told.get("last")
    if isinstance(last, dict) and last.get("event") == "given_up":
        return Standing("not_started", float(last.get("at") or at or 0.0) or None, why=str(last.get("why", "")))
    began_at = told.get("began_at")
    if isinstance(last, dict) and last.get("event") == "ended":
        return Standing(
            "ended",
            float(last["at"]),
            began_at,
            end_of(last, disruption(pod), is_preempted(pod)),
            derived_exit_status=int(last.get("derived_exit_status", 0)),
            steps=tuple(told.get("steps") or ()),
            output=told.get("output") or {},
        )
    reason = terminated.get("reason", "")
    if reason == "OOMKilled":
        return Standing("ended", at, end=End(cause="out_of_memory", detail="the kernel killed the whole container"))
    if _never_had_a_container(terminated):
        return Standing("not_started", at, why=disruption(pod) or _why(pod) or "it never had a container")
    if reason in NEVER_RAN:
        return Standing(
            "not_started", at, why=f"{reason}: {terminated.get('message', '')}".strip(": "), hindrance="fault"
        )
    why = disruption(pod) or _why(pod) or f"its agent ended without a word: {reason} {terminated.get('exitCode')}"
    return Standing("lost", at, why=why)


def _never_had_a_container(terminated: Manifest) -> bool:
    """The kubelet's word for a pod that ended and has none, and it had not told of one that ran."""
    is_unknown = terminated.get("reason") == "ContainerStatusUnknown" and not terminated.get("startedAt")
    return is_unknown and _USED_TO_RUN not in terminated.get("message", "")


def end_of(event: Manifest, disturbed: str, preempted: bool) -> End:
    """From the journal's last line. What Kubernetes says of a disruption is the evidence when the pod was ended."""
    cause, detail = str(event["cause"]), str(event.get("detail", ""))
    if cause == "stopped" and disturbed:
        cause, detail = "preempted" if preempted else cause, disturbed
    return End(
        exit_status=int(event["exit_status"]),
        signal=int(event["signal"]),
        cause=cause,
        detail=detail,
        max_rss_kib=int(event.get("max_rss_kib", 0)),
        user_seconds=float(event.get("user_seconds", 0.0)),
        system_seconds=float(event.get("system_seconds", 0.0)),
    )


def _message(text: object) -> Manifest:
    """What no agent of ours wrote says nothing."""
    if not isinstance(text, str):
        return {}
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) and told.get("version") == 1 else {}


# ── reading pods ──────────────────────────────────────────────────────────────────────────────────


def is_scheduled(pod: Manifest) -> bool:
    return bool((pod.get("spec") or {}).get("nodeName"))


def is_deleted(pod: Manifest) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_running(pod: Manifest) -> bool:
    """Its container has been started and has not ended."""
    return any("running" in (one.get("state") or {}) for one in _containers(pod.get("status") or {}))


def is_over(pod: Manifest) -> bool:
    """Nothing of it runs, or will."""
    status = pod.get("status") or {}
    return status.get("phase") in ("Failed", "Succeeded") or (is_deleted(pod) and not is_scheduled(pod))


def index_of(pod: Manifest) -> int:
    return int((pod["metadata"].get("annotations") or {}).get("batch.kubernetes.io/job-completion-index", 0))


def condition(pod: Manifest, kind: str) -> Manifest:
    for one in (pod.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind:
            found: Manifest = one
            return found
    return {}


def disruption(pod: Manifest) -> str:
    """Who ended the pod from outside, with reason and sentence; empty: nobody that Kubernetes knows of."""
    found = condition(pod, "DisruptionTarget")
    if found.get("status") == "True":
        return f"{found.get('reason', 'DisruptionTarget')}: {found.get('message', '')}".strip(": ")
    return "its pod was deleted" if is_deleted(pod) else ""


def is_preempted(pod: Manifest) -> bool:
    found = condition(pod, "DisruptionTarget")
    return found.get("status") == "True" and found.get("reason") == "PreemptionByScheduler"


def _containers(status: Manifest) -> list[Manifest]:
    return [one for one in status.get("containerStatuses") or () if one.get("name") == "job"]


def _terminated(status: Manifest) -> Manifest | None:
    for one in _containers(status):
        found: Manifest | None = (one.get("state") or {}).get("terminated")
        if found is not None:
            return found
    return None


def _waiting_reason(status: Manifest) -> str:
    for one in (*_containers(status), *(status.get("initContainerStatuses") or ())):
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"{waiting['reason']}: {waiting.get('message', '')}".strip(": ")
    return ""


def _failed_before(status: Manifest) -> str:
    """What a container said that had to do its work before the job's own."""
    for one in status.get("initContainerStatuses") or ():
        ended = (one.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            told = str(ended.get("message") or ended.get("reason") or "").strip().splitlines()
            return f"its container {one.get('name')} ended with {ended['exitCode']}: {told[-1] if told else ''}"
    return ""


def _is_stuck(status: Manifest) -> bool:
    return _waiting_reason(status).partition(":")[0] in _STUCK


def _why(pod: Manifest) -> str:
    status = pod.get("status") or {}
    told = f"{status.get('reason', '')}: {status.get('message', '')}".strip(": ")
    return told or disruption(pod)


def _ended_at(pod: Manifest) -> float | None:
    return seconds_of(condition(pod, "Ready").get("lastTransitionTime"))


def seconds_of(text: object) -> float | None:
    """RFC 3339 as Kubernetes writes it, as epoch seconds."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
