"""A script's run as its user meets it: rights, files, environment, exit code."""

# ruff: noqa: ASYNC230, ASYNC240  (small files of this machine; nothing else waits for the loop)

import os
import re
import time

from bridge.agent import mpi_launchers
from bridge.core.job import End
from tests.local.ground import Bench, Ground

TIME = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\]"


def outcome(end: End | None) -> tuple[str, int, int]:
    assert end is not None
    return end.cause, end.exit_status, end.signal


class TestTheScript:
    def test_runs_as_its_user_with_arguments_directory_and_umask(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            os.makedirs(bench.path("work"))
            script = 'id -u; id -g; umask; pwd; basename $0; echo "$#:$1:$2"; [ $SLURM_TASK_PID = $$ ] && echo pid'
            fields = {"arguments": ("a b", ""), "working_directory": bench.path("work"), "umask": 0o027}
            sighting = await bench.run(script, **fields)
            assert outcome(sighting.end) == ("exit", 0, 0)
            work = bench.path("work")
            uid, gid = ground.job_uid, ground.job_gid
            assert bench.text() == f"{uid}\n{gid}\n0027\n{work}\nslurm_script\n2:a b:\npid\n"
            status = os.stat(bench.path("1.out"))
            assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (uid, gid, 0o640)
            assert sighting.began_at is not None and sighting.began_at <= sighting.at

        if ground.is_root:
            os.chmod(ground.files, 0o777)
        ground.run(scenario)

    def test_sees_the_environment_of_the_launch_file_and_its_own_commands_first(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            environment = {"PATH": "/usr/bin:/bin", "A": "x\ny", "B": "\udcff"}
            fields = {"environment": environment, "node_environment": ({"SLURMD_NODENAME": "n1"},)}
            await bench.run('env -0 | tr "\\0" "\\1"; cat $BRIDGE_KEY_FILE $BRIDGE_TOKEN_FILE', **fields)
            with open(bench.path("1.out"), "rb") as file:
                *entries, tail = file.read().split(b"\1")
            found = dict(entry.split(b"=", 1) for entry in entries)
            data, spool = ground.data.encode(), bench.spool().encode()
            agent = found.pop(b"BRIDGE_AGENT")
            found.pop(b"SLURM_TASK_PID")
            began, ends = (int(found.pop(f"SLURM_JOB_{what}_TIME".encode())) for what in ("START", "END"))
            assert ends - began == 600 and abs(began - time.time()) < 60
            for_launchers: dict[str, str] = {}
            mpi_launchers.complete(for_launchers)
            for name, value in for_launchers.items():
                assert found.pop(name.encode()) == value.encode()
            found.pop(b"PWD")
            found.pop(b"_", None)
            assert found == {
                b"PATH": data + b"/bin:/usr/bin:/bin",
                b"A": b"x\ny",
                b"B": b"\xff",
                b"SLURMD_NODENAME": b"n1",
                b"BRIDGE_KEY_FILE": spool + b"/key",
                b"BRIDGE_TOKEN_FILE": spool + b"/token",
                b"BRIDGE_SOCKET": data + b"/run/bridge.sock",
                b"SLURM_CONF": data + b"/slurm.conf",
            }
            assert re.fullmatch(rb"127\.0\.0\.1:\d+", agent)
            assert tail == b"00fftoken"

        ground.run(scenario)

    def test_writes_to_the_end_of_a_file_that_others_write_to(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.run(
                "echo one\necho other >>$OUT\necho two\necho three >&2", environment={"OUT": bench.path("1.out")}
            )
            assert bench.text() == "one\nother\ntwo\nthree\n"

        ground.run(scenario)

    def test_starts_with_default_signals_and_no_open_files(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            look = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
            python = f'exec /usr/bin/python3 -I -S -c "{look}"'
            await bench.run(f"grep -E 'Sig(Ign|Blk)' /proc/self/status\n{python}")
            nothing = "0" * 16
            assert bench.text() == f"SigBlk:\t{nothing}\nSigIgn:\t{nothing}\n[0, 1, 2]\n"

        ground.run(scenario)

    def test_has_the_submitters_soft_limits_cut_to_what_is_allowed(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            limits = (("RLIMIT_NOFILE", 99, 100), ("RLIMIT_CORE", -1, -1), ("RLIMIT_NONSENSE", 1, 1))
            await bench.run("ulimit -n; ulimit -c", rlimits=limits)
            assert bench.text() == "99\nunlimited\n"

        ground.run(scenario)

    def test_gets_the_login_environment_beneath_the_given_one(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            with open(bench.path(".profile"), "w") as file:
                file.write("echo noise; export FROM_PROFILE=1 GIVEN=no\n")
            await bench.run(
                "echo $FROM_PROFILE $GIVEN $USER", environment={"GIVEN": "yes"}, load_login_environment=True
            )
            assert bench.text() == "1 yes somebody\n"

        if ground.is_root:
            os.chmod(ground.files, 0o777)
        ground.run(scenario)


class TestItsEnd:
    def test_is_the_true_wait_status(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            cases = {
                "exit 3": ("exit", 3, 0),
                "exit 255": ("exit", 255, 0),
                "kill -9 $$": ("exit", 0, 9),
                "sh -c 'kill -9 $$'": ("exit", 137, 0),
                "no-such-command": ("exit", 127, 0),
            }
            for number, (script, expected) in enumerate(cases.items(), 1):
                assert outcome((await bench.run(script, number)).end) == expected

        ground.run(scenario)

    def test_of_a_script_that_cannot_be_executed_is_the_error_number_and_a_line(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.backend.start([bench.group(b"#!/no/such/interp\n", 1), bench.group(b"#!/tmp\n", 2)])
            await bench.backend.start([bench.group(b"echo no shebang\n", 3)])
            assert outcome((await bench.ended(1)).end) == ("exit", 2, 0)
            assert outcome((await bench.ended(2)).end) == ("exit", 13, 0)
            assert outcome((await bench.ended(3)).end) == ("exit", 8, 0)
            bad = r" error: execve\(\): bad interpreter\(/no/such/interp\): No such file or directory\n"
            assert re.fullmatch(TIME + bad, bench.text("1.out"))
            assert bench.text("2.out").endswith(f"execve(): {bench.spool(2)}/slurm_script: Permission denied\n")
            assert bench.text("3.out").endswith(f"execve(): {bench.spool(3)}/slurm_script: Exec format error\n")

        ground.run(scenario)

    def test_tells_what_all_its_processes_used(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            eat = "import time; x = bytearray(120 << 20)\nwhile time.process_time() < 0.3: pass"
            script = f"/usr/bin/python3 -c '{eat}' &\nwait; setsid sh -c ':'"
            end = (await bench.run(script)).end
            assert end is not None
            assert 120 * 1024 < end.max_rss_kib < 200 * 1024
            assert 0.2 < end.user_seconds + end.system_seconds < 5

        ground.run(scenario)


class TestItsFiles:
    def test_output_is_truncated_or_appended_to(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            out = bench.path("o")
            for number, append in enumerate((False, True, False, True), 1):
                await bench.run(f"echo {number}", number, stdout=out, append=append)
                assert bench.text("o") == {1: "1\n", 2: "1\n2\n", 3: "3\n", 4: "3\n4\n"}[number]

        ground.run(scenario)

    def test_missing_folders_are_made_as_the_user(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.run("echo out; echo err >&2", stdout=bench.path("a/b/o"), stderr=bench.path("c/e"))
            assert (bench.text("a/b/o"), bench.text("c/e")) == ("out\n", "err\n")
            assert os.stat(bench.path("a/b")).st_uid == ground.job_uid
            assert os.stat(bench.path("a/b")).st_mode & 0o777 == 0o755

        ground.run(scenario)

    def test_standard_input_comes_from_its_file(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            await bench.run("echo content > f")
            await bench.run("cat", 2, stdin=bench.path("f"))
            assert bench.text("2.out") == "content\n"

        ground.run(scenario)

    def test_what_cannot_be_opened_fails_the_launch(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            wrong = [{"stdout": bench.files}, {"stdout": "/proc/none/o"}, {"stdin": bench.path("none")}]
            if ground.uid or ground.is_root:
                wrong.append({"stderr": "/etc/passwd"})
            for number, fields in enumerate(wrong, 1):
                sighting = await bench.run("touch ran", number, **fields)
                assert outcome(sighting.end) == ("launch_failed", 0, 53)
                assert sighting.began_at is None
                (name,) = fields.values()
                assert sighting.why.startswith(f"Could not open {next(iter(fields))} file {name}: ")
            assert not os.path.exists(bench.path("ran"))

        ground.run(scenario)

    def test_a_missing_working_directory_is_said_and_replaced(self, ground: Ground) -> None:
        async def scenario(bench: Bench) -> None:
            sighting = await bench.run("pwd", working_directory="/no/where")
            line = TIME + r" error: couldn't chdir to `/no/where': No such file or directory: going to /tmp instead\n"
            assert outcome(sighting.end) == ("exit", 0, 0)
            assert re.fullmatch(f"({line}){{2}}/tmp\n", bench.text())

        ground.run(scenario)
