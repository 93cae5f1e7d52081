"""What holds a job's processes together, so that none outlives it and none gets at its monitor.

As root: a PID namespace. Its first process does nothing but reap; when it is killed the kernel kills all
others, whatever they did to hide, and it is killed by the kernel when the monitor dies. The job has an /etc/hosts of
its own, in which its nodes are named (`node_names.py`).
As a plain user, and (but for /etc/hosts) for a job with several nodes on one host: the monitor is the subreaper of
all it starts, and walks /proc. A user namespace would hold better, but the job would notice it (other groups, no
sudo), so there is none.
"""

from __future__ import annotations

import os
import signal
import traceback
from typing import Callable, Dict, List, NoReturn, Optional, Set

from bridge.agent import namespaces, node_names, processes


class Cage:
    def __init__(self, use_namespaces: bool) -> None:
        self.has_own_mounts = use_namespaces
        self._has_own_pids = use_namespaces
        self._hosts = ""
        self._init: Optional[int] = None
        self._mounts: Optional[int] = None
        self.ours: Set[int] = set()
        """Processes in it that serve the job but are no part of it, such as the step service."""
        self.user_seconds = 0.0
        self.system_seconds = 0.0
        self.max_rss_kib = 0
        self._own_rss_kib = 0

    def open(self, hosts: str = "", *, is_host_shared: bool = False) -> None:
        """Before the first `fork`. `hosts`: path of the node's /etc/hosts. `is_host_shared`: another node of the job is
        on this host. MPI takes the two for one, and its ranks then call each other's processes by number: no node may
        count its own. Raises OSError.
        """
        self._hosts = hosts
        self._has_own_pids = self._has_own_pids and not is_host_shared
        self._own_rss_kib = processes.resident_kib([os.getpid()])
        if not self._has_own_pids:
            namespaces.become_subreaper()
            return
        ready, told = os.pipe()
        namespaces.unshare(namespaces.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            _be_init(told, hosts)
        os.close(told)
        self._init = pid
        try:
            answer = os.read(ready, 200)
        finally:
            os.close(ready)
        if answer != b"ready":
            raise OSError(f"no PID namespace: {answer.decode(errors='replace')}")
        self._mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def fork(self, child: Callable[[], NoReturn]) -> int:
        """`child` runs inside; what it does first should be to shed what it must not hold."""
        pid = os.fork()
        if pid == 0:
            try:
                if self._mounts is not None:
                    namespaces.enter(self._mounts, namespaces.CLONE_NEWNS)
                elif self.has_own_mounts:
                    namespaces.own_mounts()
                    node_names.settle(self._hosts)
                child()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        return pid

    def members(self) -> List[int]:
        """All processes of the job, parents first."""
        apart = self.ours | ({self._init} if self._init else set())
        return [pid for pid in processes.descendants(os.getpid()) if pid not in apart]

    def measured(self) -> List[int]:
        """Members whose memory is the job's: not those that are still copies of the monitor or the step service."""
        ours = self.ours | {os.getpid()}
        return [pid for pid in self.members() if not processes.is_bare_fork(pid, ours)]

    def signal_all(self, numbers: List[int]) -> None:
        members = self.members()
        for number in numbers:
            for pid in members:
                processes.send(pid, number)

    def reap(self) -> Dict[int, int]:
        """pid → wait status of every child that has ended; never waits."""
        return self._wait(os.WNOHANG)

    def end(self) -> Dict[int, int]:
        """Kill everything inside and wait until it is gone. The cage cannot be used afterwards."""
        ended: Dict[int, int] = {}
        if self._init is not None:
            processes.send(self._init, signal.SIGKILL)
        else:
            processes.kill_tree(os.getpid())
        while True:
            new = self._wait(0)
            if not new:
                break
            ended.update(new)
            if self._init is None:  # orphans have come to us meanwhile
                processes.kill_tree(os.getpid())
        self._init = None
        if self._mounts is not None:
            os.close(self._mounts)
            self._mounts = None
        return ended

    def kill_orphans(self, variable: bytes) -> None:
        """Processes with `variable` in their environment that have lost their parent, and what they started."""
        root = self._init or os.getpid()
        for pid in processes.children(root):
            if pid not in self.ours and pid != self._init and processes.has_variable(pid, variable):
                processes.kill_tree(pid)
                processes.send(pid, signal.SIGKILL)

    def _wait(self, flags: int) -> Dict[int, int]:
        ended: Dict[int, int] = {}
        while True:
            try:
                pid, status, usage = os.wait4(-1, flags)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            ended[pid] = status
            self.ours.discard(pid)
            self.user_seconds += usage.ru_utime
            self.system_seconds += usage.ru_stime
            # A forked child begins with our own pages on its account: that much says nothing of the job.
            if usage.ru_maxrss > self._own_rss_kib * 1.1 and pid != self._init:
                self.max_rss_kib = max(self.max_rss_kib, usage.ru_maxrss)
            if flags == 0:
                return ended


def close_all_but(*keep: int) -> None:
    """All descriptors from 3 on, except `keep`."""
    low = 3
    for fd in sorted(set(keep)):
        if fd >= low:
            os.closerange(low, fd)
            low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def _be_init(told: int, hosts: str) -> NoReturn:
    """PID 1 of the namespace: has its own /proc, reaps whom nobody waits for, dies with the monitor."""
    try:
        namespaces.die_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGCHLD])
        close_all_but(told)
        try:
            namespaces.mount_own_proc()
            node_names.settle(hosts)
        except OSError as error:
            os.write(told, str(error).encode())
            os._exit(1)
        namespaces.name_process("bridge-init")
        if os.write(told, b"ready") != 5:  # the monitor is gone: EPIPE raises
            os._exit(1)
        os.close(told)
        while True:
            signal.sigwait([signal.SIGCHLD])
            while True:
                try:
                    if os.waitpid(-1, os.WNOHANG)[0] == 0:
                        break
                except ChildProcessError:
                    break
    finally:
        os._exit(1)
