"""Between the bridge and a real cluster things go wrong: nothing is lost, nothing starts twice, nothing is left."""

import asyncio
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.cluster.ground import Cluster
from tests.kubernetes import faulty, world
from tests.kubernetes.faulty import Call, Proxy
from tests.kubernetes.pods import nothing_is_left
from tests.kubernetes.world import Bridge

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def through(cluster: Cluster, tmp_path: Path) -> Iterator[tuple[Proxy, Bridge]]:
    """A bridge that reaches the cluster through a proxy."""
    with (
        faulty.proxy(tmp_path) as (proxy, kubeconfig),
        world.a_bridge(cluster, kubeconfig=str(kubeconfig)) as bridge,
    ):
        yield proxy, bridge


def a_mixture(bridge: Bridge) -> dict[int, str]:
    """Jobs of several kinds, each of which marks its start, and how each must end."""
    made: dict[int, str] = {}
    for number in range(3):
        for body, end in (("exit 0", "COMPLETED 0:0"), ("exit 3", "FAILED 3:0"), ("kill -9 $$", "FAILED 0:9")):
            made[bridge.sbatch(script=f"#!/bin/bash\necho $SLURM_JOB_ID >> marks\n: {number}\n{body}\n")] = end
    wide = bridge.sbatch("-N2", "-n2", script="#!/bin/bash\necho $SLURM_JOB_ID >> marks\nsrun true\n")
    return {**made, wide: "COMPLETED 0:0"}


def all_is_well(cluster: Cluster, bridge: Bridge, expected: dict[int, str]) -> None:
    assert {job: bridge.ends_as(job, 60) for job in expected} == expected
    assert sorted(bridge.read("marks").split()) == sorted(map(str, expected))
    for job in expected:
        cluster.until(lambda job=job: nothing_is_left(cluster, bridge, job))


class TestTheApi:
    @pytest.mark.timeout(400)
    def test_answers_a_third_of_the_calls_with_429_or_500_or_loses_the_answer(
        self, cluster: Cluster, through: tuple[Proxy, Bridge]
    ) -> None:
        proxy, bridge = through
        refused: list[Call] = []

        async def meddle(call: Call, go_on: Any) -> web.StreamResponse:
            if call.number % 3 or call.is_watch:
                return await go_on()
            kind = len(refused) % 3
            refused.append(call)
            if kind == 0:
                return faulty.refusal(429, **{"Retry-After": "2"})
            if kind == 1:
                await go_on()  # it is done, and nobody hears of it
            return faulty.refusal(500)

        proxy.meddle = meddle
        all_is_well(cluster, bridge, a_mixture(bridge))
        assert len(refused) > 10
        again = [
            next(later.at - one.at for later in proxy.calls[one.number + 1 :] if later.name == one.name)
            for one in refused
            if one.status == 429 and one.kind == "POST jobs"
        ]
        assert all(seconds >= 1.9 for seconds in again), again

    @pytest.mark.timeout(400)
    def test_cuts_watches_every_second(self, cluster: Cluster, through: tuple[Proxy, Bridge]) -> None:
        proxy, bridge = through
        proxy.cut_seconds = 1.0
        before = len(proxy.calls)
        all_is_well(cluster, bridge, a_mixture(bridge))
        lists = [c for c in proxy.calls[before:] if c.kind in ("GET pods", "GET jobs") and not c.is_watch]
        assert len(lists) <= 4, "a cut watch goes on where it was"

    @pytest.mark.timeout(400)
    def test_is_away_for_half_a_minute(self, cluster: Cluster) -> None:
        with world.a_bridge(cluster) as bridge:
            gate = bridge.gate()
            script = f"#!/bin/bash\necho $SLURM_JOB_ID >> marks\n{gate.wait}\nexit 4\n"
            expected = {bridge.sbatch(script=script): "FAILED 4:0" for _ in range(2)}
            for job in expected:
                bridge.runs(job)
            cluster.kill("kube-apiserver", signal.SIGKILL)
            try:
                gate.open(2)
                late = bridge.sbatch(script="#!/bin/bash\necho $SLURM_JOB_ID >> marks\n")
                threading.Event().wait(30)
                assert bridge.state(late) in ("PENDING", "CONFIGURING")
            finally:
                cluster.start_again("kube-apiserver")
            all_is_well(cluster, bridge, {**expected, late: "COMPLETED 0:0"})


class TestKilled:
    """kill -9 of the bridge, just before or just after the cluster has made an object."""

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("kind", ["secrets", "services", "jobs"])
    @pytest.mark.timeout(300)
    def test_between_the_objects_of_a_start(
        self, cluster: Cluster, through: tuple[Proxy, Bridge], kind: str, when: str
    ) -> None:
        proxy, bridge = through
        reached = threading.Event()

        async def meddle(call: Call, go_on: Any) -> web.StreamResponse:
            if call.kind != f"POST {kind}" or reached.is_set():
                return await go_on()
            if when == "after":
                await go_on()
            reached.set()
            await asyncio.sleep(20)  # the bridge is dead before this is over
            return faulty.refusal(500)

        proxy.meddle = meddle
        job = bridge.sbatch("-N2", "-n2", script="#!/bin/bash\necho $SLURM_JOB_ID >> marks\nsrun true\n")
        assert reached.wait(60)
        bridge.kill9()
        bridge.start()
        all_is_well(cluster, bridge, {job: "COMPLETED 0:0"})


CLOCK = """
import time
_real = time.time
time.time = lambda: _real() + OFFSET
"""


class TestAClock:
    @pytest.mark.parametrize("offset", [300, -300])
    @pytest.mark.timeout(300)
    def test_that_is_five_minutes_off_ends_nothing_too_early(
        self, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: int
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(CLOCK.replace("OFFSET", str(offset)))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with world.a_bridge(cluster, node_timeout_seconds="5", bind_seconds="60") as bridge:
            gate = bridge.gate()
            job = bridge.sbatch("-t1", script=f"#!/bin/bash\necho $SLURM_JOB_ID >> marks\n{gate.wait}\n")
            bridge.runs(job)
            bridge.restart()
            assert bridge.state(job) == "RUNNING"
            gate.open()
            all_is_well(cluster, bridge, {job: "COMPLETED 0:0"})


class TestHostile:
    WORDS = (
        "../../kube-system/x",
        "x; touch /tmp/owned",
        '{"a": 1}\\n---\\nkind: Pod',
        "ünïcödé ☃ name",
        "n" * 300,
        "a\tb",
        "$(id)`id`${HOME}",
        "-rf",
    )

    @pytest.mark.parametrize("word", WORDS)
    def test_a_name_a_value_or_a_path_is_a_name_a_value_or_a_path(
        self, cluster: Cluster, on_cluster: Bridge, word: str
    ) -> None:
        script = """#!/bin/bash
printf %s "$EVIL" > "value-$SLURM_JOB_ID"; printf %s "$SLURM_JOB_NAME" > "name-$SLURM_JOB_ID"
"""
        ran = on_cluster.run("sbatch", "--parsable", f"--job-name={word}", stdin=script.encode(), env={"EVIL": word})
        assert ran.code == 0, ran.err
        job = int(ran.out)
        assert on_cluster.ends_as(job) == "COMPLETED 0:0"
        assert (on_cluster.read(f"value-{job}"), on_cluster.read(f"name-{job}")) == (word, word)

    @pytest.mark.parametrize("path", ["/etc/passwd", "/proc/1/environ", "../../../../etc/shadow", "/bridge/run/x"])
    def test_output_goes_into_nothing_that_is_not_the_user_s(self, on_cluster: Bridge, path: str) -> None:
        before = {p: Path(p).read_bytes() for p in ("/etc/passwd", "/etc/shadow")}
        job = on_cluster.sbatch("-o", path, script="#!/bin/bash\necho owned\n")
        on_cluster.wait(job)
        assert before == {p: Path(p).read_bytes() for p in before}

    def test_objects_lie_in_the_partition_s_namespace_alone(self, cluster: Cluster, on_cluster: Bridge) -> None:
        gate = on_cluster.gate()
        env = {"NAMESPACE": "kube-system", "BRIDGE_NAMESPACE": "kube-system"}
        job = on_cluster.sbatch("-J", "kube-system/x", script=f"#!/bin/bash\n{gate.wait}\n", env=env)
        on_cluster.runs(job)
        mine = f"labelSelector=bridge.hpc/instance={on_cluster.instance}"
        found = [
            item["metadata"]["namespace"]
            for path in ("/api/v1/pods", "/api/v1/secrets", "/api/v1/services", "/apis/batch/v1/jobs")
            for item in cluster.items(f"{path}?{mine}")
        ]
        gate.open()
        assert set(found) == {on_cluster.namespace}, json.dumps(found)
        on_cluster.wait(job)
