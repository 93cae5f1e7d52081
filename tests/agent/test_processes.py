import os
import signal
import time

from bridge.agent import processes


def test_a_bare_fork_is_told_from_the_program_that_it_becomes():
    """A copy of the monitor is not the job's memory; small limits were once passed by it."""
    ready, told = os.pipe()
    go, wait = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(told, b"x")
        os.read(go, 1)
        os.execv("/bin/sleep", ["sleep", "1000"])
    try:
        os.read(ready, 1)
        assert processes.is_bare_fork(pid, {os.getpid()})
        assert not processes.is_bare_fork(pid, {1})
        os.write(wait, b"x")
        deadline = time.monotonic() + 10
        while processes.is_bare_fork(pid, {os.getpid()}):
            assert time.monotonic() < deadline
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in (ready, told, go, wait):
            os.close(fd)
