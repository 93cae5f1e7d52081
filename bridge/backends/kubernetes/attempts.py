"""What is known of one attempt: its pods, its journal as far as its log told it, and what is wished of it."""

import dataclasses
import json
import time
from typing import Any

from adapters.kubernetes import names, standing
from bridge.backends.port import Sighting, StepSighting

Json = dict[str, Any]

_REMIND_SECONDS = 3.0


class Attempt:
    def __init__(self, job_id: int, number: int, group: str, namespace: str, index: int | None) -> None:
        self.job_id, self.number = job_id, number
        self.group, self.namespace = group, namespace
        """The name of its Job, and where it is."""
        self.index = index
        """Its pod, in a wave; None: all pods of the Job are its own, and the first one's end is its end."""
        self.partition = ""
        self.may_run_again = True
        """It is requeued when it is lost."""
        self.pods: dict[str, Json] = {}
        """By uid."""
        self.why = ""
        """What keeps its pods from being made, in the cluster's words."""
        self.stop_asked = False
        self.given_up = ""
        """Why it is being taken back before its start."""
        self.hindrance: standing.Hindrance = ""
        """What kind of thing that was."""
        self.troubles: dict[str, str] = {}
        """What the cluster's events say of pods that do not start, by uid."""
        self.lost = ""
        """Why it counts as lost, decided by the bridge."""
        self.began_at: float | None = None
        self.steps: dict[int, Json] = {}
        self.since = time.time()
        self.made_at = time.monotonic()
        """When this bridge first knew of it, by the clock of the event loop."""
        self.is_settled = False
        """Its output is with the bridge as far as it ever will be."""
        self.output_note = ""
        self.is_nothing_left = False
        """No object of it exists, and none can come."""
        self._told: Sighting | None = None
        self._remind_at: float | None = None

    @property
    def key(self) -> tuple[int, int]:
        return self.job_id, self.number

    @property
    def place(self) -> tuple[str, str]:
        return self.namespace, self.group

    @property
    def first_pod(self) -> Json | None:
        """The pod in which the script runs. Of several with one index the one that came first counts."""
        wanted = self.index or 0
        found = [pod for pod in self.pods.values() if standing.index_of(pod) == wanted]
        return min(found, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)

    @property
    def is_gated(self) -> bool:
        """It waits for its turn to be placed."""
        return any(standing.is_gated(pod) and not standing.is_deleted(pod) for pod in self.pods.values())

    @property
    def is_complete(self) -> bool:
        """All of its pods are there that must be before any is placed."""
        wanted = max(
            (int(pod["metadata"]["annotations"].get(names.PODS, "1")) for pod in self.pods.values()), default=1
        )
        return len({standing.index_of(pod) for pod in self.pods.values()}) >= wanted

    @property
    def output_mode(self) -> str:
        """`new` or `append` where its script writes to no volume; empty: nobody needs to fetch what it writes."""
        pod = self.first_pod
        return "" if pod is None else str((pod["metadata"].get("annotations") or {}).get(names.OUTPUT, ""))

    @property
    def is_kept(self) -> bool:
        return self.output_mode != ""

    @property
    def node(self) -> str | None:
        """The host of its first pod, while that has not ended."""
        pod = self.first_pod
        if pod is None or standing.is_over(pod):
            return None
        name: str | None = pod["spec"]["nodeName"]
        return name

    def overdue(
        self, now: float, bind_seconds: float, patience_seconds: float
    ) -> tuple[str, standing.Hindrance] | None:
        """Why it is not waited for any longer; None: it still is."""
        waited = now - self.made_at
        if self.unbound and waited > bind_seconds:
            found = standing.of_pod(self.unbound[0])
            told = found.why or "its pods have no hosts"
            return f"no hosts for its pods within {bind_seconds} seconds: {told}", found.hindrance or "room"
        pod = self.first_pod
        if waited > patience_seconds and (pod is None or not standing.is_running(pod)):
            found = self.standing()
            told = found.why or "its pod is not ready"
            return f"not started within {patience_seconds} seconds: {told}", found.hindrance
        return None

    @property
    def unbound(self) -> list[Json]:
        """Pods that have no host yet. While there are any the script waits for them, even where its own pod runs."""
        return [pod for pod in self.pods.values() if not standing.is_scheduled(pod) and not standing.is_over(pod)]

    def reminds(self, now: float) -> bool:
        """Whether it is time to say again that it is to end; asked while it runs although its pod was deleted."""
        if self._remind_at is None:
            self._remind_at = now + _REMIND_SECONDS
        if now < self._remind_at:
            return False
        self._remind_at = now + _REMIND_SECONDS
        return True

    @property
    def has_run(self) -> bool:
        """Whether the script may have begun, as far as we know."""
        return self.began_at is not None or any(
            standing.is_running(pod) or standing.of_pod(pod).phase in ("running", "ended", "lost")
            for pod in self.pods.values()
        )

    def take(self, line: bytes) -> bool:
        """A line of its first pod's log. True: it was news."""
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError):
            return False
        if kind == "began":
            self.began_at = float(event["at"])
        elif kind == "step":
            self.steps[int(event["step_id"])] = event
        return kind in ("began", "step")

    def standing(self) -> standing.Standing:
        if self.lost:
            return standing.Standing("lost", why=self.lost)
        pod = self.first_pod
        if pod is None:
            if self.is_nothing_left:
                why = self.given_up or self.why or "its pods were removed before they started"
                phase: standing.Phase = "lost" if self.has_run else "not_started"
                return standing.Standing(phase, why=why, hindrance=self.hindrance)
            return standing.Standing("starting", why=self.why)
        found = standing.of_pod(pod)
        if found.phase == "starting" and not found.why:
            trouble = self.troubles.get(pod["metadata"]["uid"], "")
            found = dataclasses.replace(found, why=trouble, hindrance="fault" if trouble else "")
        if found.phase == "not_started" and self.began_at is not None:
            return dataclasses.replace(found, phase="lost")
        if found.phase == "not_started" and self.given_up:
            return dataclasses.replace(found, why=self.given_up, hindrance=self.hindrance)
        return found

    def news(self) -> Sighting | None:
        """The sighting, when it differs from the last one."""
        found = self.sighting()
        if self._told is not None and dataclasses.replace(found, at=self._told.at) == self._told:
            return None
        return found

    def tell(self, sighting: Sighting) -> None:
        self._told = sighting

    def sighting(self) -> Sighting:
        found = self.standing()
        for event in found.steps:
            self.steps[int(event["step_id"])] = event
        began_at = found.began_at or self.began_at
        phase = found.phase
        if phase == "starting" and began_at is not None:
            phase = "running"
        end, why = found.end, found.why
        if phase in ("ended", "lost") and self.is_kept and not self.is_settled and not self.lost:
            # Told once its output is here: then its pod goes.
            phase, end = "running" if began_at is not None else "starting", None
        elif self.output_note:
            why = f"{why}; {self.output_note}" if why else self.output_note
            end = end and dataclasses.replace(end, detail="; ".join(filter(None, (end.detail, self.output_note))))
        at = found.at if found.at is not None else began_at if phase == "running" else None
        return Sighting(
            self.job_id,
            self.number,
            phase,
            at if at is not None else self.since if phase == "starting" else time.time(),
            began_at,
            end,
            why or (end.detail if end else ""),
            max([found.derived_exit_status, *(int(step["exit_status"]) for step in self.steps.values())]),
            tuple(_step(self.steps[step_id]) for step_id in sorted(self.steps)),
            found.hindrance if phase == "not_started" else "",
        )


def _step(event: Json) -> StepSighting:
    return StepSighting(
        step_id=int(event["step_id"]),
        name=str(event["name"]),
        node_list=tuple(event["node_list"]),
        tasks=int(event["tasks"]),
        cpus=int(event["cpus"]),
        started_at=float(event["started_at"]),
        ended_at=event["ended_at"],
        exit_status=int(event["exit_status"]),
        signal=int(event["signal"]),
        max_rss_kib=int(event.get("max_rss_kib", 0)),
        user_seconds=float(event.get("user_seconds", 0.0)),
        system_seconds=float(event.get("system_seconds", 0.0)),
    )
