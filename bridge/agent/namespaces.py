"""The few Linux calls that Python 3.9 has no name for: unshare, setns, mount, prctl.

Thin over libc; raises OSError. Who uses a namespace for what is in `cage.py`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Optional

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 1 << 19
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter(namespace_fd: int, kind: int) -> None:
    _check(_libc.setns(ctypes.c_int(namespace_fd), ctypes.c_int(kind)), "setns")


def own_mounts() -> None:
    """A new mount namespace. A slave: what the host mounts later still shows here, what is mounted here never there."""
    unshare(CLONE_NEWNS)
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None), "mount --make-rslave /")


def mount_own_proc() -> None:
    """In a new mount namespace, /proc of the PID namespace that the caller is in."""
    own_mounts()
    _check(_libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None), "mount /proc")


def bind(source: str, target: str) -> None:
    """What lies at `source` shows at `target` too."""
    _check(_libc.mount(source.encode(), target.encode(), None, _MS_BIND, None), f"mount --bind {source}")


def become_subreaper() -> None:
    """Descendants that lose their parent become children of this process instead of the system's init."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Cleared by the kernel when user or group ids change: ask after dropping rights."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def name_process(name: str) -> None:
    """As `ps -o comm` shows it; at most 15 bytes."""
    text = ctypes.create_string_buffer(name.encode()[:15])
    _check(_libc.prctl(_PR_SET_NAME, ctypes.addressof(text), 0, 0, 0), "prctl(PR_SET_NAME)")


SIGNAL_BYTES = 128
"""Of one signal that is read from a signal descriptor."""


def signal_descriptor(number: int) -> int:
    """Blocks the signal and gives a descriptor that becomes readable when it comes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    # A sigset_t: bit n - 1 stands for signal n.
    mask = ctypes.create_string_buffer((1 << (number - 1)).to_bytes(128, sys.byteorder), 128)
    fd = _libc.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC)
    _check(0 if fd >= 0 else -1, "signalfd")
    return int(fd)


def sender(read: bytes) -> int:
    """Who sent it, by our own PID namespace; 0: somebody outside of it, or the kernel."""
    return int.from_bytes(read[12:16], sys.byteorder)


def are_allowed() -> bool:
    """Whether PID and mount namespaces can really be made here: tried in a child, as containers often forbid it."""
    if os.geteuid() != 0:
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(_try())
    return os.waitpid(pid, 0)[1] == 0


def _try() -> int:
    try:
        unshare(CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            try:
                mount_own_proc()
            except OSError:
                os._exit(1)
            os._exit(0)
        return 0 if os.waitpid(pid, 0)[1] == 0 else 1
    except OSError:
        return 1


def boot_id() -> Optional[str]:
    """Another one after every start of the machine; None where there is no /proc."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None
