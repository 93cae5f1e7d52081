"""Reading a job's output with its user's rights."""

# ruff: noqa: ASYNC240  (small files of this machine; nothing else waits for the loop)

import os
import pathlib

import pytest

from bridge.backends.port import Rights
from bridge.core.errors import Gone, Refused
from tests.local.ground import Bench, Ground


def test_a_part_of_the_file_is_read(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.run("printf 0123456789")
        rights = Rights(ground.job_uid, ground.job_gid)
        assert await bench.backend.read_output(rights, bench.path("1.out"), 0, 100) == b"0123456789"
        assert await bench.backend.read_output(rights, bench.path("1.out"), 3, 4) == b"3456"
        assert await bench.backend.read_output(rights, bench.path("1.out"), 10, 4) == b""

    ground.run(scenario)


def test_only_regular_files_that_the_user_may_read_are(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        os.mkfifo(bench.path("pipe"), 0o666)
        secret = pathlib.Path(ground.data, "secret")
        if ground.is_root:
            secret.write_text("root's")
            secret.chmod(0o600)
        for path in (bench.path("pipe"), bench.files, "/dev/zero", bench.path("none"), str(secret), "a\0b"):
            with pytest.raises(Gone):
                await bench.backend.read_output(Rights(ground.job_uid, ground.job_gid), path, 0, 100)

    ground.run(scenario)


def test_what_only_a_group_of_the_users_may_read_is_read(ground: Ground) -> None:
    """Groups come with the user, from the site file or the host: the host need not know them."""

    async def scenario(bench: Bench) -> None:
        if not ground.is_root:
            return  # nobody else can make such a file
        shared = pathlib.Path(ground.data, "shared")
        shared.write_text("of the group")
        os.chown(shared, 0, 54321)
        shared.chmod(0o640)
        pathlib.Path(ground.data).chmod(0o755)
        mine = Rights(ground.job_uid, ground.job_gid)
        with pytest.raises(Gone):
            await bench.backend.read_output(mine, str(shared), 0, 100)
        member = Rights(ground.job_uid, ground.job_gid, (54321,))
        assert await bench.backend.read_output(member, str(shared), 0, 100) == b"of the group"

    ground.run(scenario)


def test_groups_that_no_monitor_could_start_are_refused(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        wrong = [bench.group("", environment={"A": "x\0y"}), bench.group("", environment={"A=B": ""})]
        wrong.append(bench.group("", node_environment=()))
        if not ground.is_root:
            wrong.append(bench.group("", uid=ground.uid + 1))
        for group in wrong:
            with pytest.raises(Refused):
                await bench.backend.start([group])
        assert bench.seen == {} and not os.path.exists(bench.spool())

    ground.run(scenario)
