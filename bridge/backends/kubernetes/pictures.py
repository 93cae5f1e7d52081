"""Of the cluster's objects what is looked at, small enough to keep for every job. Pure."""

from typing import Any

Json = dict[str, Any]

_META = (
    *("name", "namespace", "uid", "labels", "annotations", "finalizers", "ownerReferences"),
    *("creationTimestamp", "deletionTimestamp"),
)


def _meta(item: Json) -> Json:
    return {name: item["metadata"][name] for name in _META if name in item["metadata"]}


def job(item: Json) -> Json:
    return {"metadata": _meta(item), "status": {"conditions": (item.get("status") or {}).get("conditions") or []}}


def pod(item: Json) -> Json:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    wanted = ("phase", "reason", "message", "conditions", "containerStatuses", "initContainerStatuses", "startTime")
    return {
        "metadata": _meta(item),
        "spec": {
            "nodeName": spec.get("nodeName"),
            "command": spec["containers"][0].get("command") or [],
            "schedulingGates": spec.get("schedulingGates") or [],
        },
        "status": {name: status[name] for name in wanted if name in status},
    }


def event(item: Json) -> Json:
    return {
        "metadata": _meta(item),
        "involvedObject": item["involvedObject"],
        "reason": item.get("reason", ""),
        "message": item.get("message", ""),
    }


def node(item: Json) -> Json:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    return {
        "metadata": _meta(item),
        "spec": {"unschedulable": bool(spec.get("unschedulable")), "taints": spec.get("taints") or []},
        "status": {
            "allocatable": status.get("allocatable") or {},
            "conditions": [one for one in status.get("conditions") or () if one.get("type") == "Ready"],
        },
    }


# ── reading them ──────────────────────────────────────────────────────────────────────────────────


def failure(job: Json) -> str:
    """Why the Job controller called a Job failed; empty: it did not."""
    for one in job["status"]["conditions"]:
        if one.get("type") in ("Failed", "FailureTarget") and one.get("status") == "True":
            return f"{one.get('reason', '')}: {one.get('message', '')}".strip(": ")
    return ""


def ready(node: Json) -> Json:
    """Its Ready condition; empty: it has none yet."""
    found: Json = next(iter(node["status"]["conditions"]), {})
    return found


def agent_words(pod: Json) -> list[str]:
    """The pod's own command, without its last word, `run`."""
    return [str(word) for word in pod["spec"]["command"][:-1]]
