"""The recording's users: {USER}, bob, nobody and root.

As root they are three people that only this process and its children know, where the kernel lets it have its own
/etc/passwd; elsewhere only the bridge knows them, by its site file. As anybody else everybody is oneself.
"""

import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import person

SUBMITTER = "{USER}"


@dataclass(frozen=True)
class Person(person.Person):
    def site_lines(self) -> str:
        return super().site_lines() + f"groups = {{ {self.name} = {self.gid} }}\n"


@dataclass(frozen=True)
class People:
    user: person.Person
    """Who submits where a case names nobody else."""
    by_name: dict[str, person.Person]

    def called(self, name: str) -> person.Person:
        """Somebody whom the recording does not have is the submitting user."""
        return self.by_name.get(name, self.user)

    def site_lines(self) -> str:
        """Of all but the submitting user, whom the bridge's harness adds."""
        return "".join(one.site_lines() for one in self.by_name.values() if one.uid not in (0, self.user.uid))


def make(folder: Path) -> People:
    """Their homes are made in `folder`."""
    if os.geteuid() != 0:
        oneself = person.myself()
        return People(oneself, {SUBMITTER: oneself})
    # Names of five letters or fewer, as recorded: columns of fixed width are compared with their blanks.
    user, bob = (Person(name, uid, uid, str(folder / name)) for name, uid in (("alice", 1001), ("bob", 1002)))
    for one in (user, bob):
        Path(one.home).mkdir(mode=0o755, parents=True)
        os.chown(one.home, one.uid, one.gid)
    nobody = Person("nobody", 65534, 65534, "/nonexistent")
    return People(user, {SUBMITTER: user, "bob": bob, "nobody": nobody, "root": person.myself()})


# ── as the host's own users, for this process and its children ────────────────────────────────────

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18


def make_known_to_programs(people: People, folder: Path) -> bool:
    """`id` and `getpwuid` know them too. False: not allowed here. Before any thread is started."""
    if os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    ours = [one for one in people.by_name.values() if one.uid != 0]
    entries = {
        "passwd": [f"{one.name}:x:{one.uid}:{one.gid}::{one.home}:/bin/sh" for one in ours],
        "group": [f"{one.name}:x:{one.gid}:" for one in ours],
        "shadow": [f"{one.name}:*:19000:0:99999:7:::" for one in ours],  # without it `su` knows nobody
    }
    done = True
    for name, lines in entries.items():
        file = folder / name
        file.write_text("\n".join([*lines, *_others(Path("/etc") / name, ours)]) + "\n")
        file.chmod(0o600 if name == "shadow" else 0o644)
        done &= libc.mount(os.fsencode(file), f"/etc/{name}".encode(), None, _MS_BIND, None) == 0
    return done


def _others(path: Path, ours: Iterable[person.Person]) -> list[str]:
    """The host's entries, without those of the same name or number."""
    names, numbers = {one.name for one in ours}, {str(one.uid) for one in ours}
    entries = (line.split(":") for line in path.read_text().splitlines() if line)
    return [
        ":".join(words)
        for words in entries
        if words[0] not in names and (path.name == "shadow" or (words[2:3] != [] and words[2] not in numbers))
    ]
