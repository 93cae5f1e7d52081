"""Who calls, and whom a job runs as. Values only; looked up by `bridge.identity`."""

from dataclasses import dataclass

from bridge.core.errors import NotPermitted


@dataclass(frozen=True, slots=True)
class User:
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    group_names: tuple[str, ...] = ()
    home: str = "/"
    shell: str = "/bin/sh"


@dataclass(frozen=True, slots=True)
class Caller:
    user: User
    is_operator: bool = False
    job_id: int | None = None
    """Set when the call came with the token of a running job."""


def must_operate(caller: Caller, code: str = "access_denied") -> None:
    """Raises NotPermitted, with the code that fits the question, for all but operators."""
    if not caller.is_operator:
        raise NotPermitted("only an operator may do this", code=code)
