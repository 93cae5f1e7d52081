"""What the cluster shows of a pod, read as a phase."""

import json
from typing import Any

import pytest

from adapters.kubernetes import standing
from adapters.kubernetes.standing import Standing
from bridge.core.job import End

AT = 1_700_000_000.0
ISO = "2023-11-14T22:13:20Z"


def a_pod(phase: str = "Running", *, node: str | None = "n1", deleted: bool = False, **status: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "p", "annotations": {}}
    if deleted:
        meta["deletionTimestamp"] = ISO
    return {"metadata": meta, "spec": {"nodeName": node}, "status": {"phase": phase, **status}}


def container(**state: Any) -> list[dict[str, Any]]:
    return [{"name": "job", "state": state}]


def told(last: dict[str, Any] | None, began_at: float | None = AT - 5, **more: Any) -> dict[str, Any]:
    message = json.dumps({"version": 1, "last": last, "began_at": began_at, **more})
    return {"exitCode": 0, "reason": "Completed", "finishedAt": ISO, "message": message}


def ended(**fields: Any) -> dict[str, Any]:
    return {"event": "ended", "at": AT, "exit_status": 0, "signal": 0, "cause": "exit", "detail": "", **fields}


def terminated(word: dict[str, Any], **pod: Any) -> dict[str, Any]:
    return a_pod("Succeeded", containerStatuses=container(terminated=word), **pod)


class TestTheAgentsOwnWord:
    def test_is_the_end(self) -> None:
        usage = {"max_rss_kib": 7, "user_seconds": 1.5, "system_seconds": 0.5}
        step = {"event": "step", "step_id": 0}
        word = told(ended(exit_status=3, derived_exit_status=9, **usage), steps=[step])
        assert standing.of_pod(terminated(word)) == Standing(
            "ended",
            AT,
            AT - 5,
            End(3, 0, "exit", "", 7, 1.5, 0.5),
            derived_exit_status=9,
            steps=(step,),
        )

    def test_may_be_that_it_never_started(self) -> None:
        word = told({"event": "given_up", "at": AT, "why": "stopped before its start"}, None)
        assert standing.of_pod(terminated(word)) == Standing("not_started", AT, why="stopped before its start")

    @pytest.mark.parametrize("message", [None, "", "Killed", "[]", '{"version": 2}', '{"last": {"event": "ended"}}'])
    def test_is_not_believed_from_anybody_else(self, message: str | None) -> None:
        word = {"exitCode": 137, "reason": "Error", "finishedAt": ISO, "message": message}
        assert standing.of_pod(terminated(word)) == Standing(
            "lost", AT, why="its agent ended without a word: Error 137"
        )

    def test_of_a_stop_carries_who_asked_for_it(self) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        word = told(ended(cause="stopped", signal=15))
        found = standing.of_pod(terminated(word, conditions=[condition], deleted=True))
        assert found.end == End(0, 15, "stopped", "EvictionByEvictionAPI: Eviction API: evicting")

    def test_of_a_stop_for_a_job_of_higher_priority_is_a_preemption(self) -> None:
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "p2"}
        found = standing.of_pod(terminated(told(ended(cause="stopped", signal=15)), conditions=[condition]))
        assert found.end == End(0, 15, "preempted", "PreemptionByScheduler: p2")


class TestWithoutIt:
    def test_a_container_that_the_kernel_killed_whole_was_out_of_memory(self) -> None:
        word = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ISO}
        assert standing.of_pod(terminated(word)) == Standing(
            "ended", AT, end=End(cause="out_of_memory", detail="the kernel killed the whole container")
        )

    def test_a_container_that_never_was_one_did_not_start(self) -> None:
        word = {"exitCode": 128, "reason": "StartError", "finishedAt": ISO, "message": "exec: no such file"}
        assert standing.of_pod(terminated(word)) == Standing(
            "not_started", AT, why="StartError: exec: no such file", hindrance="fault"
        )

    def test_a_pod_whose_agent_could_not_be_brought_did_not_start_and_says_why(self) -> None:
        word = {"exitCode": 1, "reason": "Error", "message": "Traceback\nOSError: disk full\n"}
        pod = a_pod("Failed", initContainerStatuses=[{"name": "agent", "state": {"terminated": word}}])
        assert standing.of_pod(pod) == Standing(
            "not_started", why="its container agent ended with 1: OSError: disk full", hindrance="fault"
        )

    @pytest.mark.parametrize(
        ("told", "phase"), [("terminated", "not_started"), ("deleted.  The container used to be Running", "lost")]
    )
    def test_a_container_that_nobody_can_find_started_if_it_had_been_seen_running(self, told: str, phase: str) -> None:
        message = f"The container could not be located when the pod was {told}"
        word = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "message": message}
        assert standing.of_pod(terminated(word, deleted=True)) == Standing(phase, why="its pod was deleted")

    def test_a_pod_that_the_kubelet_refused_did_not_start(self) -> None:
        pod = a_pod("Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu")
        assert standing.of_pod(pod) == Standing("not_started", why="OutOfcpu: Node didn't have enough resource: cpu")


class TestOnTheWay:
    def test_a_pod_without_a_host_waits_with_the_schedulers_sentence(self) -> None:
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu.",
        }
        pod = a_pod("Pending", node=None, conditions=[condition])
        assert standing.of_pod(pod) == Standing(
            "starting", why="0/1 nodes are available: 1 Insufficient cpu.", hindrance="room"
        )
        assert standing.of_pod(a_pod("Pending", node=None)) == Standing("starting")

    def test_a_pod_deleted_before_it_had_a_host_did_not_start(self) -> None:
        found = standing.of_pod(a_pod("Pending", node=None, deleted=True))
        assert found == Standing("not_started", why="its pod was deleted before it had a host")

    def test_an_image_that_cannot_be_had_is_said(self) -> None:
        waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}
        assert standing.of_pod(a_pod("Pending", containerStatuses=container(waiting=waiting))) == Standing(
            "starting", why='ImagePullBackOff: Back-off pulling image "x"', hindrance="fault"
        )

    def test_a_container_being_made_is_nothing_to_tell(self) -> None:
        waiting = {"reason": "ContainerCreating"}
        assert standing.of_pod(a_pod("Pending", containerStatuses=container(waiting=waiting))) == Standing("starting")

    def test_whether_the_script_has_begun_the_journal_says_not_the_container(self) -> None:
        pod = a_pod(containerStatuses=container(running={"startedAt": ISO}))
        assert (standing.of_pod(pod), standing.is_running(pod)) == (Standing("starting"), True)


def test_times_are_epoch_seconds() -> None:
    assert [standing.seconds_of(text) for text in (ISO, "2023-11-14T22:13:20.5Z", None, "soon")] == [
        AT,
        AT + 0.5,
        None,
        None,
    ]
