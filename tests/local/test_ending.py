"""Limits, signals and cancels; and that nothing outlives the batch script."""

# ruff: noqa: ASYNC240  (small files of this machine; nothing else waits for the loop)

import asyncio
import os
import re
import signal as signals

import pytest

from bridge.backends.local import spool
from bridge.core import group
from bridge.core.errors import Conflict, Gone
from tests.local.ground import EVERY_CAGE, Bench, Ground, marked
from tests.local.test_running import TIME, outcome

FOREVER = "while :; do /bin/sleep 0.05; done"


def cancelled(job_id: int, why: str) -> str:
    return TIME + rf" error: \*\*\* JOB {job_id} ON n1 CANCELLED AT \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d {why} \*\*\*\n"


class TestTheTimeLimit:
    def test_is_told_in_the_output_and_ends_the_job_by_term(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            sighting = await bench.run("echo start; exec sleep 100", time_limit_seconds=1)
            assert outcome(sighting.end) == ("time_limit", 0, signals.SIGTERM)
            assert re.fullmatch("start\n" + cancelled(1, "DUE TO TIME LIMIT"), bench.text())
            assert sighting.began_at is not None and 1 <= sighting.at - sighting.began_at < 3

        ground.run(scenario)

    def test_gives_a_trap_its_time_and_its_exit_code(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            script = f"trap 'echo caught >{bench.path('caught')}; exit 11' TERM\n{FOREVER}"
            sighting = await bench.run(script, time_limit_seconds=1)
            assert outcome(sighting.end) == ("time_limit", 11, 0)
            assert bench.text("caught") == "caught\n"

        ground.run(scenario)

    def test_is_followed_by_kill_after_kill_wait(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            script = f"trap '' TERM\n{FOREVER}"
            sighting = await bench.run(script, time_limit_seconds=1, kill_wait_seconds=1)
            assert outcome(sighting.end) == ("time_limit", 0, signals.SIGKILL)
            assert sighting.began_at is not None and 2 <= sighting.at - sighting.began_at < 4

        ground.run(scenario)

    def test_may_be_changed_while_the_job_runs(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start("exec sleep 100", 1)
            await bench.start("sleep 2; exit 5", 2, time_limit_seconds=1)
            await bench.phase("running", job_id=2)
            await bench.backend.set_time_limit(2, 1, None)
            await bench.phase("running", job_id=1)
            await bench.backend.set_time_limit(1, 1, 1)
            assert outcome((await bench.ended(1)).end) == ("time_limit", 0, signals.SIGTERM)
            assert outcome((await bench.ended(2)).end) == ("exit", 5, 0)

        ground.run(scenario)

    def test_stands_still_while_the_job_is_suspended(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            ticks = bench.path("ticks")
            await bench.start(f"while :; do echo t >>{ticks}; /bin/sleep 0.02; done", time_limit_seconds=2)
            await bench.until(lambda: bench.text("ticks"))
            await bench.backend.pause(1, 1, resume=False)
            before = bench.text("ticks")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2.2):
                    await bench.ended()
            assert len(bench.text("ticks")) <= len(before) + 2
            await bench.backend.pause(1, 1, resume=True)
            sighting = await bench.ended()
            assert outcome(sighting.end) == ("time_limit", 0, signals.SIGTERM)
            assert sighting.began_at is not None and sighting.at - sighting.began_at > 4

        ground.run(scenario)


class TestTheWarning:
    def test_goes_to_the_batch_shell_alone_when_so_asked(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            script = "trap 'echo warned; kill $child; exit 4' USR1\nsh -c 'exec sleep 100' & child=$!; wait"
            wish = group.Signal(signals.SIGUSR1, 59, True)
            sighting = await bench.run(script, time_limit_seconds=60, signal=wish)
            assert (outcome(sighting.end), bench.text()) == (("exit", 4, 0), "warned\n")

        ground.run(scenario)

    def test_without_it_reaches_steps_only(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            rank = f"trap 'echo warned >{bench.path('warned')}; exit' USR1; echo here; {FOREVER}"
            script = f"{_call_step_service(rank)}\nwhile [ ! -e {bench.path('warned')} ]; do /bin/sleep 0.02; done"
            wish = group.Signal(signals.SIGUSR1, 58, False)
            sighting = await bench.run(script, time_limit_seconds=60, signal=wish)
            assert (outcome(sighting.end), bench.text("warned")) == (("exit", 0, 0), "warned\n")
            assert [(step.step_id, step.name, step.tasks) for step in sighting.steps] == [(0, "sh", 1)]
            assert sighting.derived_exit_status == 7

        ground.run(scenario)


def _call_step_service(command: str) -> str:
    host = "import os,socket,sys; h,p=os.environ['BRIDGE_AGENT'].split(':'); s=socket.create_connection((h,int(p)))"
    talk = "s.sendall(sys.argv[1].encode()+b'\\n'); s.recv(99)"
    quoted = command.replace("'", "'\\''")
    return f"/usr/bin/python3 -I -S -c \"{host}; {talk}\" '{quoted}'"


class TestStop:
    def test_of_a_running_job_is_told_and_ends_all_its_processes(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start("sleep 100 & echo start; wait; echo never")
            await bench.said("start")
            await bench.backend.stop(1, 1, "cancel")
            assert outcome((await bench.ended()).end) == ("stopped", 0, signals.SIGTERM)
            assert re.match("start\n" + cancelled(1, "DUE to SIGNAL Terminated"), bench.text())

        ground.run(scenario)

    def test_for_a_requeue_says_so_on_standard_error(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start("echo start; exec sleep 100", stderr=bench.path("e"))
            await bench.said("start")
            await bench.backend.stop(1, 1, "requeue")
            assert outcome((await bench.ended()).end) == ("stopped", 0, signals.SIGTERM)
            assert bench.text() == "start\n"
            assert re.fullmatch(cancelled(1, "DUE TO JOB REQUEUE"), bench.text("e"))

        ground.run(scenario)

    def test_wakes_a_suspended_job(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start(f"trap 'exit 3' TERM; echo start; {FOREVER}")
            await bench.said("start")
            await bench.backend.pause(1, 1, resume=False)
            await bench.backend.stop(1, 1, "cancel")
            assert outcome((await bench.ended()).end) == ("stopped", 3, 0)

        ground.run(scenario)

    def test_before_the_script_was_started_means_it_never_is(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            os.mkfifo(bench.path("pipe"))
            if ground.is_root:
                os.chown(bench.path("pipe"), ground.job_uid, ground.job_gid)
            await bench.start(f"touch {bench.path('ran')}", stdin=bench.path("pipe"))
            await bench.backend.stop(1, 1, "cancel")
            sighting = await bench.ended()
            assert (sighting.phase, sighting.why) == ("not_started", "stopped before its start")
            await bench.backend.start([bench.group("exit 0")])
            assert not os.path.exists(bench.path("ran"))

        ground.run(scenario)

    def test_a_signal_before_the_start_is_a_conflict(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            os.mkfifo(bench.path("pipe"), 0o666)
            os.chmod(bench.path("pipe"), 0o666)
            await bench.start("exit 0", stdin=bench.path("pipe"))
            with pytest.raises(Conflict, match="signal is not possible: not running") as refused:
                await bench.backend.signal(1, 1, signals.SIGUSR1, "all")
            assert refused.value.code == "cannot_alter"
            await bench.backend.stop(1, 1, "cancel")
            await bench.ended()

        ground.run(scenario)

    def test_of_one_that_was_made_ready_and_never_started_says_that_it_never_will_be(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            made = bench.group(f"touch {bench.path('ran')}")
            spool.write(f"{ground.data}/spool", made, spool.launch_file(made, ground.data, [1], None))
            await bench.again()
            with pytest.raises(Gone):
                await bench.backend.stop(1, 1, "cancel")
            await bench.backend.start([made])
            sighting = await bench.ended()
            assert (sighting.phase, sighting.why) == ("not_started", "it was to be ended before it was started")
            assert not os.path.exists(bench.path("ran"))

        ground.run(scenario)

    def test_of_what_has_ended_is_no_error_but_of_what_was_never_there_and_a_signal_is(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.run("exit 0")
            await bench.backend.stop(1, 1, "cancel")
            with pytest.raises(Gone):
                await bench.backend.stop(99, 1, "cancel")
            for number in (1, 99):
                with pytest.raises(Gone):
                    await bench.backend.signal(number, 1, 15, "all")
            await bench.backend.forget(1, 1)
            await bench.backend.forget(1, 1)
            assert not os.path.exists(bench.spool())

        ground.run(scenario)


class TestSignals:
    def test_reach_the_batch_shell_or_everything_as_asked(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            child = f"trap 'echo child' USR1; echo up; {FOREVER}"
            script = f"trap 'echo shell' USR1\n(sh -c \"{child}\") & {FOREVER}"
            await bench.start(script)
            await bench.said("up")
            await bench.backend.signal(1, 1, signals.SIGUSR1, "steps")
            await bench.backend.signal(1, 1, signals.SIGUSR1, "batch")
            assert (await bench.said("shell")).count("child") == 0
            await bench.backend.signal(1, 1, signals.SIGUSR1, "all")
            await bench.said("child")

        ground.run(scenario)


class TestMemory:
    def test_over_the_limit_ends_the_job(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            eat = "import time; x = []\\nwhile True: x.append(bytearray(1 << 20)); time.sleep(0.005)"
            script = f"/usr/bin/python3 -c \"$(printf '{eat}')\"; echo never"
            sighting = await bench.run(script, memory_limit_mib=(64,))
            assert sighting.end is not None
            assert (sighting.end.cause, sighting.why) == ("out_of_memory", "more than 64 MiB were used on n1")
            assert 64 * 1024 < sighting.end.max_rss_kib < 160 * 1024
            line = TIME + r" error: Detected 1 oom_kill event in StepId=1\.batch\. "
            assert re.fullmatch(line + r"Some of the step tasks have been OOM Killed\.\n", bench.text())

        ground.run(scenario)

    def test_shared_by_a_fork_counts_once(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            program = "import os, time; x = bytearray(60 << 20); os.fork(); os.fork(); time.sleep(1)"
            sighting = await bench.run(f"/usr/bin/python3 -c '{program}'; wait", memory_limit_mib=(150,))
            assert outcome(sighting.end) == ("exit", 0, 0)

        ground.run(scenario)


HIDING = {
    "background": "sleep {mark} &",
    "nohup": "nohup sleep {mark} >/dev/null 2>&1 &",
    "setsid": "setsid sleep {mark} &",
    "double fork": "(setsid sh -c 'sleep {mark} & exit' &)",
    "clean environment": "(setsid env -i /bin/sh -c 'exec setsid /bin/sleep {mark}' >/dev/null 2>&1 &)",
    "deaf": "(trap '' TERM HUP INT; exec sleep {mark}) &",
}


class TestWhatIsLeftBehind:
    @pytest.mark.parametrize("ground", EVERY_CAGE, indirect=True)
    @pytest.mark.parametrize("how", HIDING)
    def test_dies_with_the_batch_script(self, ground: Ground, how: str) -> None:
        async def scenario(bench: Bench) -> None:
            mark = f"{600000 + ground.job_uid}"
            await bench.start(f"{HIDING[how].format(mark=mark)}\nread go <{bench.path('go')}; exit 6")
            os.mkfifo(bench.path("go"), 0o666)
            os.chmod(bench.path("go"), 0o666)
            await bench.until(lambda: marked(mark))
            await asyncio.to_thread(_write, bench.path("go"))
            assert outcome((await bench.ended()).end) == ("exit", 6, 0)
            assert marked(mark) == []

        ground.run(scenario)

    def test_a_killed_everything_takes_no_monitor_along(self) -> None:
        """In a PID namespace even `kill -9 -1` of the same user reaches the job alone."""
        if os.geteuid() != 0:
            return  # without namespaces: see test_surviving
        ground = Ground("root")
        try:
            ground.run(self._kill_all)
        finally:
            ground.leave()

    @staticmethod
    async def _kill_all(bench: Bench) -> None:
        await bench.start("sleep 100 & kill -9 -1; exit 9", uid=0, gid=0)
        assert outcome((await bench.ended()).end) == ("exit", 9, 0)


def _write(path: str) -> None:
    with open(path, "w") as file:
        file.write("go\n")
