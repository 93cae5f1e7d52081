"""Groups of several nodes: one script, started when all are there, and one end for all."""

# ruff: noqa: ASYNC230, ASYNC240  (small files of this machine; nothing else waits for the loop)

import asyncio
import json
import os
import signal as signals

from bridge.agent import processes
from bridge.backends.local import attempts
from tests.local.ground import Bench, Ground, marked
from tests.local.test_ending import FOREVER, _call_step_service
from tests.local.test_running import outcome


def services(bench: Bench) -> dict[int, int]:
    """node → pid inside the cage, of each step service that was started."""
    names = [name.split(".") for name in os.listdir(bench.files) if name.startswith("stepd.")]
    return {int(node): int(pid) for _, node, pid in names}


class TestAGroupOfThreeNodes:
    def test_runs_its_script_once_when_all_have_reported(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            sighting = await bench.run(f"echo ran; ls {bench.files}", nodes=3)
            assert outcome(sighting.end) == ("exit", 0, 0)
            assert bench.text().count("ran") == 1
            assert sorted(services(bench)) == [0, 1, 2]
            assert {bench.text(name) for name in os.listdir(bench.files) if name.startswith("stepd")} == {
                f"{ground.job_uid} 1"
            }

        ground.run(scenario)

    def test_leaves_no_process_on_any_node(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            mark = f"{610000 + ground.job_uid}"
            await bench.start(f"sleep {mark}", nodes=3)
            await bench.until(lambda: marked(mark))
            monitors = attempts.Attempt(1, 1, bench.spool()).monitors()
            assert sorted(monitors) == [0, 1, 2]
            await bench.backend.stop(1, 1, "cancel")
            assert outcome((await bench.ended()).end)[0] == "stopped"
            assert marked(mark) == []
            await bench.until(lambda: all(processes.started_ticks(pid) is None for pid in monitors.values()))

        ground.run(scenario)

    def test_that_does_not_heed_term_is_killed_on_all_nodes_before_its_end_is_told(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            mark = f"{630000 + ground.job_uid}"
            await bench.start(f"trap '' TERM; echo start; {FOREVER}", nodes=2, kill_wait_seconds=1)
            await bench.said("start")
            with open(f"{bench.spool()}/launch.json") as file:
                port = json.load(file)["nodes"][1]["port"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"trap '' TERM; exec sleep {mark}\n".encode())
            assert await reader.readline() == b"started\n"
            writer.close()
            await bench.until(lambda: marked(mark))
            monitors = attempts.Attempt(1, 1, bench.spool()).monitors()
            await bench.backend.stop(1, 1, "cancel")
            assert outcome((await bench.ended()).end) == ("stopped", 0, signals.SIGKILL)
            assert marked(mark) == []
            assert processes.started_ticks(monitors[1]) is None

        ground.run(scenario)

    def test_that_loses_a_node_ends_as_node_failure(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start("echo start; exec sleep 100", nodes=3)
            await bench.said("start")
            os.kill(attempts.Attempt(1, 1, bench.spool()).monitors()[2], signals.SIGKILL)
            sighting = await bench.ended()
            assert outcome(sighting.end) == ("node_fail", 0, signals.SIGTERM)
            assert sighting.why == "node n3 was lost"
            assert "DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***" in bench.text()

        ground.run(scenario)

    def test_that_loses_its_first_node_is_lost_with_all_the_others(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start("echo start; exec sleep 100", nodes=3)
            await bench.said("start")
            monitors = attempts.Attempt(1, 1, bench.spool()).monitors()
            os.kill(monitors[0], signals.SIGKILL)
            assert (await bench.ended()).phase == "lost"
            assert [processes.started_ticks(pid) for pid in monitors.values()] == [None] * 3

        ground.run(scenario)

    def test_is_given_up_when_a_node_does_not_come(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            group = bench.group(f"touch {bench.path('ran')}", nodes=2, patience_seconds=1)
            real = bench.backend._nursery.start

            async def first_only(monitors, listeners):  # type: ignore[no-untyped-def]
                await real(monitors[:1], listeners[:1])

            bench.backend._nursery.start = first_only  # type: ignore[method-assign]
            await bench.backend.start([group])
            sighting = await bench.ended()
            assert (sighting.phase, sighting.why) == (
                "not_started",
                "its nodes were not all ready within 1 seconds",
            )
            assert not os.path.exists(bench.path("ran"))

        ground.run(scenario)


class TestTheStepService:
    def test_is_started_by_the_first_connection_and_again_after_its_death(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            mark = f"{620000 + ground.job_uid}"
            rank = f"setsid sleep {mark} & wait"
            first, second = _call_step_service(rank), _call_step_service(f"touch {bench.path('second')}; {FOREVER}")
            script = (
                f"{first}\nls {bench.files}/stepd.*; read go <{bench.path('go')}\n{second}\n"
                f"while [ ! -e {bench.path('second')} ]; do /bin/sleep 0.02; done"
            )
            os.mkfifo(bench.path("go"), 0o666)
            os.chmod(bench.path("go"), 0o666)
            await bench.start(script)
            await bench.until(lambda: marked(mark))
            (service,) = [pid for pid in processes.everyone() if _is_service(bench, pid)]
            os.kill(service, signals.SIGKILL)
            await bench.until(lambda: not marked(mark))
            with open(bench.path("go"), "w") as file:
                file.write("go\n")
            sighting = await bench.ended()
            assert outcome(sighting.end) == ("exit", 0, 0)
            assert [step.step_id for step in sighting.steps] == [0]

        ground.run(scenario)

    def test_is_not_there_when_nobody_calls_it(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.run("exit 0")
            assert services(bench) == {}

        ground.run(scenario)


def _is_service(bench: Bench, pid: int) -> bool:
    monitor = attempts.Attempt(1, 1, bench.spool()).monitors().get(0)
    if monitor is None or pid not in processes.children(monitor):
        return False
    # The others are the namespace's first process, and the batch shell, which runs another program.
    with open(f"/proc/{pid}/comm") as file:
        is_init = file.read() == "bridge-init\n"
    return not is_init and os.readlink(f"/proc/{pid}/exe") == os.readlink(f"/proc/{monitor}/exe")
