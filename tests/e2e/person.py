"""Whom tests run jobs as, and the interpreter that such a person can run.

As root: a person whom only the site file knows. As anybody else: oneself.
"""

import contextlib
import functools
import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLAIN_UID = 61234


@dataclass(frozen=True)
class Person:
    name: str
    uid: int
    gid: int
    home: str

    def popen_options(self) -> dict[str, Any]:
        """For subprocess: run as this person; nothing when the tests do already."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    @contextlib.contextmanager
    def effective(self) -> Iterator[None]:
        """This very process acts as the person for a moment."""
        if os.geteuid() == self.uid:
            yield
            return
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def environment(self) -> dict[str, str]:
        path = "/usr/local/bin:/usr/bin:/bin"
        return {
            "HOME": self.home,
            "USER": self.name,
            "LOGNAME": self.name,
            "SHELL": "/bin/sh",
            "PATH": path,
            "LANG": "C.UTF-8",
        }

    def site_lines(self) -> str:
        return f'[[users]]\nname = "{self.name}"\nuid = {self.uid}\ngid = {self.gid}\nhome = "{self.home}"\n'


def myself() -> Person:
    entry = pwd.getpwuid(os.geteuid())
    return Person(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def plain(home: Path) -> Person:
    """Somebody without privileges, who owns `home`."""
    if os.geteuid() != 0:
        return myself()
    os.chown(home, PLAIN_UID, PLAIN_UID)
    return Person("tessa", PLAIN_UID, PLAIN_UID, str(home))


@functools.cache
def python() -> str:
    """An interpreter of this version that everybody may run: this one, or the distribution's."""
    if os.geteuid() != 0 or _is_open_to_all(Path(sys.executable)):
        return sys.executable
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(name, path="/usr/local/bin:/usr/bin") or shutil.which("python3", path="/usr/bin")
    assert found is not None, f"{sys.executable} is closed to other users, and no {name} of the distribution is there"
    return found


def _is_open_to_all(path: Path) -> bool:
    real = path.resolve()
    return all(directory.stat().st_mode & 0o001 for directory in (*path.parents, *real.parents))
