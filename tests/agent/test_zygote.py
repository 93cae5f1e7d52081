"""What the zygote withstands. That it forks, reaps and reads is seen in tests/local."""

# ruff: noqa: F811  (a fixture is imported, and named again where it is used)

import os
import socket
import stat

from bridge.agent import processes, zygote
from tests.local.conftest import _package, ground  # noqa: F401  (fixtures)
from tests.local.ground import Bench, Ground
from tests.local.test_running import outcome


def test_garbage_does_not_harm_it(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        channel = bench.backend._nursery._socket
        assert channel is not None
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for packet in (b"nonsense", b"[]", b"{}", b'{"do": "start"}', b'{"do": "start", "monitors": [["/no"]]}'):
                socket.send_fds(channel, [packet], [listener.fileno()])
            socket.send_fds(channel, [b'{"do": "start", "monitors": [["/no/where", 0]]}'], [listener.fileno()])
            channel.send(b'{"do": "open", "id": 9, "uid": "x", "gid": 0, "path": 3}')
        assert outcome((await bench.run("exit 3")).end) == ("exit", 3, 0)

    ground.run(scenario)
    assert "No such file or directory: '/no/where'" in ground.log()


def test_its_socket_is_for_its_own_user(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        status = os.stat(f"{ground.data}/run/{zygote.SOCKET}")
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (ground.uid, 0o600)

    ground.run(scenario)


def test_it_goes_when_the_bridge_has_let_go_and_nothing_runs(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        pid = ground.zygote()
        assert pid is not None and processes.started_ticks(pid) is not None
        await bench.__aexit__()
        await bench.until(lambda: processes.started_ticks(pid) is None)
        await bench.__aenter__()
        assert outcome((await bench.run("exit 0")).end) == ("exit", 0, 0)

    ground.run(scenario)


def test_a_small_memory_does_for_it_and_its_monitors(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.start("exec sleep 100")
        await bench.phase("running")
        pid = ground.zygote()
        assert pid is not None
        for process in (pid, *ground.monitors()):
            assert 0 < processes.resident_kib([process]) < 20 * 1024

    ground.run(scenario)
