"""What holds when a monitor, the zygote, the bridge or the machine goes down."""

# ruff: noqa: ASYNC240  (small files of this machine; nothing else waits for the loop)

import contextlib
import errno
import json
import os
import pathlib
import shutil
import signal as signals
import socket

import pytest

from bridge.agent import launch, processes
from bridge.backends.local import attempts, spool
from bridge.backends.local.backend import LocalBackend
from bridge.core.errors import Unavailable
from tests.local.ground import EVERY_CAGE, Bench, Ground, marked
from tests.local.test_running import outcome


def monitor_of(bench: Bench, node: int = 0) -> int:
    return attempts.Attempt(1, 1, bench.spool()).monitors()[node]


@pytest.mark.parametrize("ground", EVERY_CAGE, indirect=True)
class TestAKilledMonitor:
    def test_is_told_as_lost_once_nothing_is_left_of_the_job(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            mark = f"{700000 + ground.job_uid}"
            await bench.start(f"(setsid env -i /bin/sleep {mark} &)\nsleep {mark}")
            await bench.until(lambda: len(marked(mark)) == 2)
            os.kill(monitor_of(bench), signals.SIGKILL)
            sighting = await bench.ended()
            assert (sighting.phase, sighting.why, sighting.end) == ("lost", "its monitor was killed", None)
            assert sighting.began_at is not None and sighting.began_at <= sighting.at
            assert marked(mark) == []

        ground.run(scenario)

    def test_before_the_start_means_not_started(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            os.mkfifo(bench.path("pipe"), 0o666)
            os.chmod(bench.path("pipe"), 0o666)
            await bench.start(f"touch {bench.path('ran')}", stdin=bench.path("pipe"))
            os.kill(await bench.until(lambda: _maybe_monitor(bench)), signals.SIGKILL)
            sighting = await bench.ended()
            assert sighting.phase == "not_started"
            assert sighting.why == "its monitor was lost before the script was started"
            assert not os.path.exists(bench.path("ran"))

        ground.run(scenario)

    def test_that_was_forgotten_only_in_part_is_forgotten_by_the_next_bridge(
        self, ground: Ground, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.run("exit 0")
            with monkeypatch.context() as patch:
                patch.setattr(shutil, "rmtree", lambda path: os.unlink(f"{path}/launch.json"))
                await bench.backend.forget(1, 1)
            await bench.again()
            assert (bench.full[0], os.listdir(f"{ground.data}/spool")) == ((), [])

        ground.run(scenario)

    def test_of_a_bridge_that_has_not_the_backend_no_signal_is_sent(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start("exec sleep 100")
            await bench.phase("running")
            with pytest.raises(Unavailable, match="another bridge runs the jobs"):
                await LocalBackend("local", ground.data, []).signal(1, 1, signals.SIGTERM, "all")
            await bench.backend.stop(1, 1, "cancel")
            await bench.ended()

        ground.run(scenario)

    def test_cannot_be_told_of_a_spool_that_cannot_be_read(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            os.mkdir(f"{ground.data}/spool/7.1")
            pathlib.Path(f"{ground.data}/spool/7.1/node0").touch()
            await bench.again()
            assert (bench.full[0], bench.seen[7].phase) == ((7,), "starting")

        ground.run(scenario)

    def test_is_told_once_its_journal_can_be_written(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            give_up, tries = attempts.Attempt.give_up, []

            def full_at_first(attempt: attempts.Attempt, why: str) -> bool:
                tries.append(why)
                if len(tries) == 1:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return give_up(attempt, why)

            attempts.Attempt.give_up = full_at_first  # type: ignore[method-assign]
            try:
                os.mkfifo(bench.path("pipe"), 0o666)
                os.chmod(bench.path("pipe"), 0o666)
                await bench.start("exit 0", stdin=bench.path("pipe"))
                os.kill(await bench.until(lambda: _maybe_monitor(bench)), signals.SIGKILL)
                assert (await bench.ended()).phase == "not_started"
            finally:
                attempts.Attempt.give_up = give_up  # type: ignore[method-assign]

        ground.run(scenario)

    def test_while_the_bridge_was_away_is_found_as_lost(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start("exec sleep 100")
            await bench.phase("running")
            pid = monitor_of(bench)
            await bench.__aexit__()
            os.kill(pid, signals.SIGKILL)
            await bench.until(lambda: processes.started_ticks(pid) is None)
            bench.backend = LocalBackend("local", ground.data, [])
            bench.seen.clear()
            await bench.__aenter__()
            assert (await bench.ended()).phase == "lost"

        ground.run(scenario)


def _maybe_monitor(bench: Bench) -> int | None:
    return attempts.Attempt(1, 1, bench.spool()).monitors().get(0)


class TestABridgeStartedAnew:
    def test_finds_what_runs_and_what_has_ended(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            os.mkfifo(bench.path("go"), 0o666)
            os.chmod(bench.path("go"), 0o666)
            await bench.run("exit 3", 1)
            await bench.start(f"read go <{bench.path('go')}; exit 4", 2)
            before = await bench.phase("running", job_id=2)
            await bench.again()
            assert bench.full == [(1, 2)]
            assert outcome(bench.seen[1].end) == ("exit", 3, 0)
            assert bench.seen[2] == before
            await bench.backend.start([bench.group(f"touch {bench.path('twice')}", 2)])
            pathlib.Path(bench.path("go")).write_text("\n")
            assert outcome((await bench.ended(2)).end) == ("exit", 4, 0)
            assert not os.path.exists(bench.path("twice"))

        ground.run(scenario)

    def test_does_not_list_what_was_never_asked_for_so_that_it_may_be_started(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            group = bench.group("echo ran >>$BRIDGE_KEY_FILE.x; exit 0")
            spool.write(f"{ground.data}/spool", group, spool.launch_file(group, ground.data, [1], "boot"))
            await bench.again()
            assert bench.full == [()]
            assert outcome((await bench.run("exit 0")).end) == ("exit", 0, 0)

        ground.run(scenario)

    def test_keeps_watching_when_the_zygote_is_killed(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            os.mkfifo(bench.path("go"), 0o666)
            os.chmod(bench.path("go"), 0o666)
            await bench.start(f"read go <{bench.path('go')}; exit 4")
            await bench.phase("running")
            monitor, zygote = monitor_of(bench), ground.zygote()
            assert zygote is not None
            os.kill(zygote, signals.SIGKILL)
            await bench.until(lambda: bench.backend._nursery.is_open and len(bench.backend._watched) == 1)
            assert outcome((await bench.run("exit 5", 2)).end) == ("exit", 5, 0)
            assert processes.started_ticks(monitor) is not None
            pathlib.Path(bench.path("go")).write_text("\n")
            assert outcome((await bench.ended()).end) == ("exit", 4, 0)

        ground.run(scenario)

    def test_sees_the_end_of_a_monitor_that_no_zygote_tells_of(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            mark = f"{800000 + ground.job_uid}"
            await bench.start(f"sleep {mark}")
            await bench.until(lambda: marked(mark))
            monitor, zygote = monitor_of(bench), ground.zygote()
            assert zygote is not None
            os.kill(zygote, signals.SIGKILL)
            await bench.until(lambda: len(bench.backend._watched) == 1)
            os.kill(monitor, signals.SIGKILL)
            assert (await bench.ended()).phase == "lost"
            assert marked(mark) == []

        ground.run(scenario)

    def test_of_another_release_takes_another_zygote_and_leaves_the_first_its_jobs(self, ground: Ground) -> None:
        os.mkfifo(f"{ground.files}/go", 0o666)
        os.chmod(f"{ground.files}/go", 0o666)
        zygotes = []

        async def before(bench: Bench) -> None:
            await bench.start(f"read go <{bench.path('go')}; exit 4")
            await bench.phase("running")

        async def after(bench: Bench) -> None:
            assert len(bench.backend._watched) == 1
            assert outcome((await bench.run("exit 5", 2)).end) == ("exit", 5, 0)
            pathlib.Path(bench.path("go")).write_text("\n")
            assert outcome((await bench.ended()).end) == ("exit", 4, 0)

        other = pathlib.Path(ground.package, "bridge/agent/another.py")
        try:
            ground.run(before)
            zygotes.append(ground.zygote())
            other.write_text("")
            ground.run(after)
            assert ground.zygote() not in zygotes
        finally:
            other.unlink()

    def test_shares_its_data_folder_with_no_other(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            with pytest.raises(Unavailable, match="another bridge runs jobs from"):
                await LocalBackend("local", ground.data, []).open()
            assert outcome((await bench.run("exit 0")).end) == ("exit", 0, 0)

        ground.run(scenario)


class TestAMachineStartedAnew:
    def test_has_lost_what_ran_and_may_start_what_did_not(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.start("exec sleep 100")
            await bench.phase("running")
            await bench.__aexit__()
            os.kill(monitor_of(bench), signals.SIGKILL)
            path = pathlib.Path(bench.spool(), launch.NAME)
            path.write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "an earlier one"}))
            bench.backend = LocalBackend("local", ground.data, [])
            bench.seen.clear()
            await bench.__aenter__()
            sighting = await bench.ended()
            assert (sighting.phase, sighting.why) == ("lost", "the machine was started anew")

        ground.run(scenario)


def test_a_plain_users_script_that_kills_all_it_can_reach_is_found_by_the_next_bridge(ground: Ground) -> None:
    """Bridge, zygote and monitor are the same user's and die; its shell lives on, and is found and ended."""
    if ground.is_root:
        return  # see test_ending: the monitor is out of reach
    if os.geteuid() != 0:
        return  # it would kill the tests
    mark = f"{900000 + ground.uid}"

    async def murder(bench: Bench) -> None:
        await bench.start(f"kill -9 -1\nexec sleep {mark}")
        await bench.ended()

    with pytest.raises(AssertionError, match="the scenario's process was killed"):
        ground.run(murder)

    async def after(bench: Bench) -> None:
        assert (await bench.ended()).phase == "lost"
        assert marked(mark) == []

    ground.run(after)


class TestHostileSpools:
    def test_a_link_in_place_of_a_folder_or_file_is_not_followed(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            group = bench.group(f"touch {bench.path('ran')}")
            folder = f"{ground.data}/spool"
            spool.write(folder, group, spool.launch_file(group, ground.data, [1], "boot"))
            elsewhere = bench.path("elsewhere")
            with contextlib.suppress(PermissionError):
                os.chmod(bench.files, 0o777)
            pathlib.Path(bench.spool(), launch.NAME).rename(elsewhere)
            pathlib.Path(bench.spool(), launch.NAME).symlink_to(elsewhere)
            with socket.create_server(("127.0.0.1", 0)) as listener:
                await bench.backend._nursery.start([(bench.spool(), 0)], [listener])
            await bench.until(lambda: attempts.Attempt(1, 1, bench.spool()).read())
            attempt = attempts.Attempt(1, 1, bench.spool())
            attempt.read()
            assert attempt.over is not None
            assert attempt.over["event"] == "given_up" and "symbolic links" in attempt.over["why"]
            assert not os.path.exists(bench.path("ran"))

        ground.run(scenario)


def test_a_data_folder_that_job_users_cannot_enter_is_told(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(bench: Bench) -> list[str]:
        caplog.clear()
        os.chmod(ground.data, 0o700)
        await bench.again()
        os.chmod(ground.data, 0o711)
        return [record.__dict__["path"] for record in caplog.records if "closed to" in record.message]

    assert ground.run(scenario) == ([ground.data] if ground.is_root else [])
