"""What bodies of slurmdb say of limits, as the words that sacctmgr takes. Pure.

One reader of values serves both: `max/jobs/active` of an association is sacctmgr's MaxJobs.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from adapters.slurm import sacctmgr_settings
from adapters.slurm.rest import accounts
from adapters.slurm.rest.envelope import Error
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import Json
from adapters.slurm.sacctmgr import BadWord, Word
from adapters.slurm.sacctmgr_settings import Known, Settings

ASSOCIATION: Mapping[str, str] = {
    "comment": "comment",
    "default/qos": "defaultqos",
    "max/jobs/per/count": "grpjobs",
    "max/jobs/per/accruing": "grpjobsaccrue",
    "max/jobs/per/submitted": "grpsubmitjobs",
    "max/jobs/per/wall_clock": "maxwalldurationperjob",
    "max/jobs/active": "maxjobs",
    "max/jobs/accruing": "maxjobsaccrue",
    "max/jobs/total": "maxsubmitjobs",
    "max/tres/total": "grptres",
    "max/tres/group/minutes": "grptresmins",
    "max/tres/group/active": "grptresrunmins",
    "max/tres/minutes/per/job": "maxtresminsperjob",
    "max/tres/per/job": "maxtresperjob",
    "max/tres/per/node": "maxtrespernode",
    "max/per/account/wall_clock": "grpwall",
    "min/priority_threshold": "minpriothreshold",
    "parent_account": "parent",
    "priority": "priority",
    "qos": "qoslevel",
    "shares_raw": "fairshare",
}
CONDITION: Mapping[str, str] = {
    **{name: name for name in ("comment", "defaultqos", "fairshare", "parent", "priority", "qoslevel")},
    **{name: name for name in ("grpjobs", "grpjobsaccrue", "grpsubmitjobs", "grpwall", "maxjobs", "maxjobsaccrue")},
    **{name: name for name in ("grptres", "grptresmins", "grptresrunmins", "maxsubmitjobs", "maxtresminsperjob")},
    **{name: name for name in ("maxtresperjob", "maxtrespernode", "maxwalldurationperjob")},
    "minpriothresh": "minpriothreshold",
}
"""`association` in the conditions of users_association and accounts_association."""
QOS: Mapping[str, str] = {
    "limits/factor": "limitfactor",
    "limits/grace_time": "gracetime",
    "limits/max/active_jobs/accruing": "grpjobsaccrue",
    "limits/max/active_jobs/count": "grpjobs",
    "limits/max/jobs/count": "grpsubmitjobs",
    "limits/max/jobs/active_jobs/per/account": "maxjobsperaccount",
    "limits/max/jobs/active_jobs/per/user": "maxjobsperuser",
    "limits/max/jobs/per/account": "maxsubmitjobsperaccount",
    "limits/max/jobs/per/user": "maxsubmitjobsperuser",
    "limits/max/tres/total": "grptres",
    "limits/max/tres/minutes/total": "grptresmins",
    "limits/max/tres/minutes/per/qos": "grptresrunmins",
    "limits/max/tres/minutes/per/job": "maxtresminsperjob",
    "limits/max/tres/minutes/per/account": "maxtresrunminsperaccount",
    "limits/max/tres/minutes/per/user": "maxtresrunminsperuser",
    "limits/max/tres/per/account": "maxtresperaccount",
    "limits/max/tres/per/job": "maxtresperjob",
    "limits/max/tres/per/node": "maxtrespernode",
    "limits/max/tres/per/user": "maxtresperuser",
    "limits/max/wall_clock/per/qos": "grpwall",
    "limits/max/wall_clock/per/job": "maxwalldurationperjob",
    "limits/max/accruing/per/account": "maxjobsaccrueperaccount",
    "limits/max/accruing/per/user": "maxjobsaccrueperuser",
    "limits/min/priority_threshold": "minpriothreshold",
    "limits/min/tres/per/job": "mintresperjob",
    "preempt/list": "preempt",
    "preempt/mode": "preemptmode",
    "priority": "priority",
    "usage_factor": "usagefactor",
    "usage_threshold": "usagethreshold",
}


def settings_of(
    given: Mapping[str, Json], table: Mapping[str, str], words: tuple[Word, ...], known: Known, failure: Error
) -> Settings:
    """`failure`: what is told of a value that is none; its text is replaced by sacctmgr's."""
    found = Settings()
    for place, word in table.items():
        value = _at(given, place)
        text = _SPELLED.get(word, _text)(value)
        if text is None:
            continue
        try:
            sacctmgr_settings.read(f"{word}={text}", words, found, known, "modify")
        except BadWord as bad:
            told = " ".join(bad.text.split()) or f"{word}={text}"
            raise Failed(Error(failure.description, -1, failure.source, told)) from bad
    return found


def _at(given: Json, place: str) -> Json:
    for name in place.split("/"):
        if not isinstance(given, Mapping) or name not in given:
            return None
        given = given[name]
    return given


def _text(value: Json) -> str | None:
    """None: nothing was said. Numbers come plain or with `set`; resources as records, names as a list."""
    if isinstance(value, Mapping):
        if value.get("infinite"):
            return "-1"
        return _text(value.get("number")) if value.get("set") else None
    if isinstance(value, list):
        return ",".join(_listed(value))
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _listed(value: list[Any]) -> Iterator[str]:
    for one in value:
        if isinstance(one, Mapping):
            kind, name = one.get("type") or "", one.get("name") or ""
            yield f"{kind}/{name}={one.get('count', -1)}" if name else f"{kind}={one.get('count', -1)}"
        else:
            yield str(one)


def _mode(value: Json) -> str | None:
    text = _text(value)
    return "cluster" if text == "DISABLED" else text.lower() if text else None


def _share(value: Json) -> str | None:
    text = _text(value)
    return "parent" if text == str(accounts.PARENT_SHARES) else text


def _unless_empty(value: Json) -> str | None:
    return _text(value) or None


_SPELLED: Mapping[str, Callable[[Json], str | None]] = {
    "preemptmode": _mode,
    "fairshare": _share,
    "parent": _unless_empty,
    "preempt": _unless_empty,
    "qoslevel": _unless_empty,
    "defaultqos": _unless_empty,
}
