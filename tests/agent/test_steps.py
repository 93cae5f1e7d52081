"""srun and the step services of an allocation: real processes on loopback."""

import os
import signal
import socket
import struct
from collections.abc import Iterator

import pytest

from bridge.agent import processes, wire
from tests.agent.step_ground import DEADLINE_SECONDS, Allocation, an_allocation


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Allocation]:
    """n1 with three CPUs, n2 with one, as 25.11 gives `-N2 -n4`."""
    with an_allocation(3, 1) as made:
        yield made


class TestTasks:
    def test_ranks_are_laid_out_block_by_block(self, two_nodes):
        ran = two_nodes.srun(
            "-n4", "-l", "sh", "-c", "echo $SLURM_PROCID $SLURMD_NODENAME $SLURM_LOCALID $SLURM_NODEID"
        )
        assert sorted(ran.out.splitlines()) == ["0: 0 n1 0 0", "1: 1 n1 1 0", "2: 2 n1 2 0", "3: 3 n2 0 1"]

    def test_the_worst_status_is_sruns_and_each_failure_has_a_line(self, two_nodes):
        ran = two_nodes.srun("-n4", "sh", "-c", "exit $SLURM_PROCID")
        assert ran.code == 3
        assert "srun: error: n2: task 3: Exited with exit code 3\n" in ran.err

    def test_a_task_that_a_signal_ends(self, two_nodes):
        ran = two_nodes.srun("-N1", "-n1", "sh", "-c", "kill -9 $$")
        assert (ran.code, "srun: error: n1: task 0: Killed\n" in ran.err) == (137, True)
        assert "srun: Force Terminated StepId=12." in ran.err

    def test_a_program_that_is_not_there(self, two_nodes):
        ran = two_nodes.srun("-N1", "-n1", "nonexist")
        assert (ran.code, "error: execve(): nonexist: No such file or directory" in ran.err) == (2, True)

    def test_input_goes_to_every_task_or_to_one(self, two_nodes):
        echo = ("sh", "-c", 'echo "$SLURM_PROCID:$(cat)"')
        assert sorted(two_nodes.srun("-n2", *echo, stdin=b"hi\n").out.split()) == ["0:hi", "1:hi"]
        assert sorted(two_nodes.srun("-n2", "--input=1", *echo, stdin=b"hi\n").out.split()) == ["0:", "1:hi"]

    def test_large_input_and_output_arrive_whole(self, two_nodes):
        data = os.urandom(1 << 20).hex().encode()
        assert two_nodes.srun("-N1", "-n1", "cat", stdin=data).out.encode() == data

    def test_files_by_pattern(self, two_nodes):
        two_nodes.srun("-n2", "-o", "o-%t-%n-%N-%j.txt", "hostname")
        assert sorted(p.name for p in two_nodes.directory.glob("o-*")) == ["o-0-0-n1-12.txt", "o-1-1-n2-12.txt"]

    def test_several_programs(self, two_nodes):
        (two_nodes.directory / "programs").write_text("0 echo zero %t %o\n1-2 echo rest %t %o\n")
        ran = two_nodes.srun("-n3", "--multi-prog", "programs")
        assert sorted(ran.out.splitlines()) == ["rest 1 0", "rest 2 1", "zero 0 0"]

    def test_what_a_task_left_behind_ends_with_the_step(self, two_nodes):
        mark = two_nodes.directory / "left"
        left = f"(echo $BASHPID > {mark}; exec sleep 1000) >/dev/null 2>&1 &"
        script = f"{left} while [ ! -s {mark} ]; do :; done"
        two_nodes.srun("-N1", "-n1", "bash", "-c", script)
        pid = int(mark.read_text())
        two_nodes.srun("-N1", "-n1", "true")
        assert processes.started_ticks(pid) is None


class TestRoom:
    def test_more_tasks_than_cpus_are_refused(self, two_nodes):
        ran = two_nodes.srun("-n9", "true")
        assert (ran.code, ran.err) == (
            1,
            "srun: error: Unable to create step for job 12: More processors requested than permitted\n",
        )

    def test_a_step_waits_for_the_cpus_of_another_and_overlap_does_not(self, two_nodes):
        holder = two_nodes.popen("-n4", "--exact", "sh", "-c", "echo up; exec cat", stdin=-1)
        assert holder.stdout is not None
        holder.stdout.readline()
        assert two_nodes.srun("-n4", "--exact", "-I", "true").code == 1
        assert two_nodes.srun("-n4", "--overlap", "true").code == 0
        waiter = two_nodes.popen("-n4", "--exact", "echo", "after")
        holder.communicate(timeout=DEADLINE_SECONDS)
        out, _ = waiter.communicate(timeout=DEADLINE_SECONDS)
        assert (out, waiter.returncode) == (b"after\n" * 4, 0)

    def test_the_death_of_srun_frees_its_step(self, two_nodes):
        holder = two_nodes.popen("-n4", "sh", "-c", "echo up; exec sleep 1000")
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
        holder.communicate(timeout=DEADLINE_SECONDS)
        assert two_nodes.srun("-n4", "true").code == 0


class TestOptions:
    @pytest.mark.parametrize(
        ("argv", "code", "line"),
        [
            (["--bogus", "x"], 255, "srun: unrecognized option '--bogus'"),
            ([], 1, "srun: fatal: No command given to execute."),
            (["-n0", "x"], 1, 'srun: error: Invalid numeric value "0" for --ntasks.'),
            (
                ["-w", "n9", "x"],
                1,
                "srun: error: Unable to create step for job 12: Requested node configuration is not available",
            ),
            (["--mpi=foo", "x"], 1, "srun: error: Invalid MPI type 'foo', --mpi=list for acceptable types"),
            (["--pty", "x"], 1, "srun: error: --pty is refused: terminals for tasks are not built yet"),
        ],
    )
    def test_refusals(self, two_nodes, argv, code, line):
        ran = two_nodes.srun(*argv)
        assert (ran.code, line in ran.err.splitlines()) == (code, True), ran.err


class TestBarrier:
    def test_the_first_node_says_when_all_have_reported(self):
        with an_allocation(1, 1, 1) as made:
            assert made.hear(0) == {"event": "all_reported"}

    def test_a_missing_node_keeps_it_silent(self):
        with an_allocation(1, 1, but=1) as made:
            made.channels[0].settimeout(0.5)
            with pytest.raises(TimeoutError):
                made.hear(0)


class TestWire:
    def test_a_forged_key_is_cut_off(self, two_nodes):
        with pytest.raises(wire.WireError, match="does not know the key"):
            wire.connect(("127.0.0.1", two_nodes.ports[0]), bytes(32), "step")

    def test_a_replayed_proof_is_of_no_use(self, two_nodes):
        """The nonce of the other side differs each time."""
        key = bytes.fromhex(two_nodes.key)
        shown = wire.proof(key, "client", "step", "0" * 64, "1" * 64)
        with socket.create_connection(("127.0.0.1", two_nodes.ports[0]), timeout=10) as connection:
            connection.sendall(wire.hello_line({"version": 1, "purpose": "step", "nonce": "1" * 64}))
            connection.recv(4096)
            connection.sendall(wire.hello_line({"proof": shown}))
            assert connection.recv(4096) == b""

    def test_a_servers_proof_is_no_clients(self):
        key = bytes(32)
        assert not wire.is_proof(key, wire.proof(key, "server", "step", "a", "b"), "client", "step", "a", "b")
        assert not wire.is_proof(key, wire.proof(key, "client", "launch", "a", "b"), "client", "step", "a", "b")

    @pytest.mark.parametrize(
        "data", [b"GET / HTTP/1.1\r\n\r\n", struct.pack("!I", 1 << 30), struct.pack("!I", 4) + b"nope"]
    )
    def test_a_strange_greeting_is_cut_off(self, two_nodes, data):
        with socket.create_connection(("127.0.0.1", two_nodes.ports[0]), timeout=10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        assert two_nodes.srun("-N1", "-n1", "true").code == 0

    def test_a_half_open_connection_blocks_nobody_and_is_closed(self, two_nodes):
        with socket.create_connection(("127.0.0.1", two_nodes.ports[0]), timeout=30) as connection:
            assert two_nodes.srun("-N1", "-n1", "true").code == 0
            assert connection.recv(1) == b""

    def test_an_oversized_frame_ends_the_connection(self, two_nodes):
        connection = wire.connect(("127.0.0.1", two_nodes.ports[0]), bytes.fromhex(two_nodes.key), "step")
        with connection:
            connection.settimeout(10)
            connection.sendall(struct.pack("!BII", 0, 0, 1 << 31))
            assert connection.recv(4096) == b""
        assert two_nodes.srun("-N1", "-n1", "true").code == 0


def test_a_signal_from_the_monitor_reaches_the_tasks():
    with an_allocation(1) as made:
        job = made.popen("-n1", "sh", "-c", "trap 'exit 7' USR2; echo up; while :; do sleep 0.1; done")
        assert job.stdout is not None
        job.stdout.readline()
        made.tell({"do": "signal", "number": int(signal.SIGUSR2)})
        assert job.wait(DEADLINE_SECONDS) == 7
        job.communicate()
