"""Many jobs in one call, named instead of numbered: all of them or none.

    {"members": [{"name": "prepare", "script": "…"},
                 {"name": "train", "script": "…", "after": {"prepare": "ok"}},
                 {"name": "report", "script": "…", "after": {"train": "any"}, "after_any_of": false}]}

`after` becomes dependency clauses with the ids -1-k, which the store replaces. An option --dependency on jobs that
exist is kept beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge.core import dag
from bridge.core.errors import Refused
from bridge.core.nodes import Site
from bridge.core.users import Caller
from bridge.rest import bodies, submission
from bridge.service.terms import Draft

MAX_MEMBERS = 1000
MAX_NAME = 255

WHEN: dict[str, dag.Kind] = {
    "ok": dag.Kind.AFTER_OK,
    "notok": dag.Kind.AFTER_NOT_OK,
    "any": dag.Kind.AFTER_ANY,
    "started": dag.Kind.AFTER,
    "corr": dag.Kind.AFTER_CORR,
}


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    after: tuple[dag.Clause, ...]
    any_of: bool
    body: Mapping[str, Any]


def read(body: Mapping[str, Any]) -> list[Member]:
    """The graph's shape: names known, nothing twice, no cycle."""
    bodies.refuse_unknown(body, {"members"})
    members = body.get("members")
    if not isinstance(members, list) or not members or not all(isinstance(member, dict) for member in members):
        raise bodies.wrong("members", "a list of at least one object is expected")
    if len(members) > MAX_MEMBERS:
        raise bodies.wrong("members", f"at most {MAX_MEMBERS} are taken in one call")
    numbers: dict[str, int] = {}
    for number, member in enumerate(members):
        name = _name(member, number)
        if name in numbers:
            raise bodies.wrong(f"members[{number}].name", f"the name {name!r} is given twice")
        numbers[name] = number
    made = [_member(member, number, numbers) for number, member in enumerate(members)]
    _refuse_cycles(made)
    return made


def _name(member: Mapping[str, Any], number: int) -> str:
    name = bodies.text(member, "name", f"members[{number}].")
    if not name or len(name) > MAX_NAME:
        raise bodies.wrong(f"members[{number}].name", f"a text of 1 to {MAX_NAME} characters is expected")
    return name


def _member(member: Mapping[str, Any], number: int, numbers: Mapping[str, int]) -> Member:
    where = f"members[{number}]."
    clauses = []
    for target, when in bodies.table(member, "after", where).items():
        if target not in numbers:
            known = ", ".join(map(repr, list(numbers)[:20]))
            raise bodies.wrong(f"{where}after", f"no member is named {target!r}; there are {known}", "bad_dependency")
        clauses.append(_clause(numbers[target], when, f"{where}after.{target}"))
    any_of = bodies.boolean(member, "after_any_of")
    rest = {key: value for key, value in member.items() if key not in ("name", "after", "after_any_of")}
    return Member(member["name"], tuple(clauses), any_of, rest)


def _clause(target: int, when: object, field: str) -> dag.Clause:
    """`"ok"`, or `"started+5"`: five minutes after the start."""
    word, plus, minutes = when.partition("+") if isinstance(when, str) else ("", "", "")
    kind = WHEN.get(word)
    if kind is None or (plus and not (kind is dag.Kind.AFTER and minutes.isascii() and minutes.isdigit())):
        raise bodies.wrong(field, f"one of {', '.join(WHEN)} is expected, or started+MINUTES", "bad_dependency")
    return dag.Clause(kind, -1 - target, delay_minutes=int(minutes[:9]) if plus else 0)


def _refuse_cycles(members: list[Member]) -> None:
    edges = {
        number: [-1 - clause.job_id for clause in member.after if clause.job_id is not None]
        for number, member in enumerate(members)
    }
    for number in edges:
        way = dag.find_cycle(edges, number)
        if way:
            names = " → ".join(members[step].name for step in way)
            raise Refused(f"members wait for each other: {names}", code="circular_dependency", field="members")


def draft(
    member: Member, number: int, caller: Caller, site: Site, now: float, idempotency_key: str | None = None
) -> tuple[Draft, submission.Read]:
    """The member's draft. Its job is called as the member, unless it says otherwise."""
    where = f"members[{number}]."
    found = submission.read({"script_name": _file_name(member.name), **member.body}, caller, site, now, where)
    if found.test_only:
        raise bodies.wrong(f"{where}options", "--test-only is for single jobs", "invalid_option")
    if not member.after:
        return found.draft(idempotency_key), found
    dependency = dag.Dependency(member.after, member.any_of)
    own = found.request.dependency
    if own is not None:
        if own.any_of != member.any_of and len(own.clauses) > 1:
            raise bodies.wrong(
                f"{where}after_any_of", "does not agree with --dependency: all must hold, or one", "bad_dependency"
            )
        dependency = dag.Dependency((*member.after, *own.clauses), member.any_of)
    found = replace(found, request=replace(found.request, dependency=dependency))
    return found.draft(idempotency_key), found


def _file_name(name: str) -> str:
    """A member's name as the name of its script, from which the job's is taken."""
    plain = name.replace("/", "_").replace("\0", "_")
    return f"_{plain}" if plain.startswith("-") else plain
