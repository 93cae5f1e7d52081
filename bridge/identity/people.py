"""Users as the host (NSS) and the site file know them. Never as a caller tells.

NSS may be a directory server far away: answers are kept for a minute, and the event loop asks in a thread.
"""

import asyncio
import grp
import os
import pwd
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

from bridge.core.users import User

KEEP_SECONDS = 60.0
KEEP_UNKNOWN_SECONDS = 5.0
MOST_KEPT = 10_000


class People:
    def __init__(self, listed: Sequence[User] = (), *, now: Callable[[], float] = time.monotonic) -> None:
        """`listed`: the site file's, which win over the host's."""
        self._by_uid = {user.uid: user for user in listed}
        self._by_name = {user.name: user for user in listed}
        self._now = now
        self._kept: dict[int | str, tuple[float, User | None]] = {}

    def find(self, who: int | str) -> User | None:
        """By uid or name. May wait for the host's user directory."""
        listed = self._listed(who)
        if listed is not None:
            return listed
        kept = self._kept.get(who)
        return kept[1] if kept is not None and kept[0] > self._now() else self._ask(who)

    async def find_soon(self, who: int | str) -> User | None:
        """As `find`, not stopping the loop."""
        kept = self._kept.get(who)
        if self._listed(who) is not None or (kept is not None and kept[0] > self._now()):
            return self.find(who)
        return await asyncio.to_thread(self.find, who)

    def name_of(self, uid: int) -> str:
        user = self.find(uid)
        return user.name if user else str(uid)

    def _listed(self, who: int | str) -> User | None:
        return self._by_uid.get(who) if isinstance(who, int) else self._by_name.get(who)

    def _ask(self, who: int | str) -> User | None:
        found = _from_host(who)
        if found is not None and (found.uid in self._by_uid or found.name in self._by_name):
            found = None  # the site file gave the name another number, or the number another name
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        keep = KEEP_UNKNOWN_SECONDS if found is None else KEEP_SECONDS
        self._kept[who] = (self._now() + keep, found)
        return found


def _from_host(who: int | str) -> User | None:
    try:
        entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except (KeyError, OverflowError, ValueError):  # ValueError: a NUL in the name
        return None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return User(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=groups,
        group_names=tuple(name for name in map(_group_name, groups) if name),
        home=entry.pw_dir or "/",
        shell=entry.pw_shell or "/bin/sh",
    )


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return ""


@lru_cache(maxsize=1024)
def group_name(gid: int) -> str:
    """For people to read: the number where the host has no name for it."""
    return _group_name(gid) or str(gid)


def is_group(name: str) -> bool:
    """Whether the host has a group of this name or number; may wait for its directory."""
    try:
        grp.getgrgid(int(name)) if name.isascii() and name.isdigit() else grp.getgrnam(name)
    except (KeyError, OverflowError, ValueError):
        return False
    return True
