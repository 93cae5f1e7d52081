"""Values of sbatch's options that are words out of a fixed set, and what is made of them."""

import re
from typing import Literal

from adapters.slurm.values import BadValue, leading_integer
from bridge.core.users import User

Exclusive = Literal["node", "user", "mcs", "topo"]


def exclusive(text: str) -> Exclusive:
    match text.lower():
        case "" | "exclusive":
            return "node"
        case "user":
            return "user"
        case "mcs":
            return "mcs"
        case "topo":
            return "topo"
    raise BadValue()


def append(text: str) -> bool:
    """--open-mode: the first letter decides."""
    if text[:1].lower() not in ("a", "t") or not text:
        raise BadValue()
    return text[:1].lower() == "a"


def yes_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise BadValue()
    return text.lower() == "yes"


def zero_one(text: str) -> str:
    if text not in ("", "0", "1"):
        raise BadValue()
    return text or "1"


def no_kill(text: str) -> str:
    """The letter case does not matter; `off` and `no` undo what an earlier source said."""
    if text.lower() not in ("", "set", "off", "no"):
        raise BadValue()
    return "off" if text.lower() in ("off", "no") else "set"


MAIL_TYPES = (
    *("ARRAY_TASKS", "INVALID_DEPEND", "BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT"),
    *("TIME_LIMIT", "TIME_LIMIT_90", "TIME_LIMIT_80", "TIME_LIMIT_50"),
)
_OF_ALL = MAIL_TYPES[1:7]


def mail_types(text: str) -> tuple[str, ...]:
    """In the order of MAIL_TYPES. Unknown words do not matter unless all are unknown; NONE empties the list."""
    words = text.upper().split(",")
    known = [word for word in words if word in MAIL_TYPES or word in ("ALL", "NONE")]
    if not known:
        raise BadValue()
    if "NONE" in known:
        return ()
    wanted = set(known) | (set(_OF_ALL) if "ALL" in known else set())
    return tuple(kind for kind in MAIL_TYPES if kind in wanted)


_FIRST = ("block", "cyclic", "arbitrary", "*")
_FURTHER = ("block", "cyclic", "fcyclic", "*")
_PACKING = ("pack", "nopack")


def distribution(text: str) -> tuple[str, int | None]:
    """(as written in lower case, tasks of a plane)"""
    words = text.lower()
    if words.startswith("plane"):
        size = leading_integer(words[6:]) if words[5:6] == "=" else 0
        if size <= 0:
            raise BadValue("Invalid plane size or size not specified\nInvalid --OPTION specification")
        return f"plane={size}", size
    shape, _, packing = words.partition(",")
    if shape in _PACKING and not packing:
        return words, None
    first, *further = shape.split(":")
    if first not in _FIRST or len(further) > 2 or any(word not in _FURTHER for word in further):
        raise BadValue()
    if packing and packing not in _PACKING:
        raise BadValue()
    return words, None


_HINTS = ("compute_bound", "memory_bound", "multithread", "nomultithread")


def hint(text: str) -> str:
    words = text.lower().split(",")
    for word in words:
        if word not in _HINTS:
            raise BadValue('unrecognized --hint argument "VALUE", see --hint=help', word, exit_code=1)
    return text


_RLIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")


def propagate(text: str) -> tuple[str, ...]:
    """Names such as RLIMIT_STACK that the job inherits; nothing and ALL: all of them."""
    if text in ("", "ALL"):
        return tuple(f"RLIMIT_{name}" for name in _RLIMITS)
    if text == "NONE":
        return ()
    names = [word.removeprefix("RLIMIT_") for word in text.split(",") if word]
    for name in names:
        if name not in _RLIMITS:
            raise BadValue(f"Bad rlimit name: {name}\n--OPTION=VALUE is not valid.", text, exit_code=1)
    return tuple(f"RLIMIT_{name}" for name in names)


_PROFILES = ("all", "none", "energy", "task", "lustre", "network")


def profile(text: str) -> str:
    if not any(word in _PROFILES for word in text.lower().split(",")):
        raise BadValue("invalid --OPTION=VALUE option", text)
    return text


def profile_text(text: str) -> str:
    """As the job sees it: `Energy,Task`."""
    words = set(text.lower().split(","))
    if "all" in words:
        words = set(_PROFILE_NAMES)
    return ",".join(shown for word, shown in _PROFILE_NAMES.items() if word in words) or "None"


_PROFILE_NAMES = {"energy": "Energy", "lustre": "Lustre", "network": "Network", "task": "Task"}
_FREQUENCY_KINDS = ("task", "energy", "network", "filesystem")


def acctg_freq(text: str) -> str:
    for part in text.split(",") if text else ():
        kind, equals, number = part.partition("=")
        if not (number if equals else kind).isdigit() or (equals and kind.lower() not in _FREQUENCY_KINDS):
            raise BadValue("Invalid --OPTION specification: VALUE", text)
    return text


def is_sampled_too_rarely(text: str, at_most_seconds: int) -> bool:
    """Whether --acctg-freq asks that tasks are looked at less often than the site wants, or never (0)."""
    for part in text.split(","):
        kind, equals, number = part.partition("=")
        if (kind.lower() if equals else "task") == "task" and at_most_seconds and part:
            return not 0 < int((number if equals else kind)[:9]) <= at_most_seconds
    return False


_CPU_SPEEDS = ("low", "medium", "high", "highm1")
_GOVERNORS = ("conservative", "ondemand", "performance", "powersave", "userspace", "schedutil")


def cpu_freq(text: str) -> str:
    """`FREQ`, `LOW-HIGH:GOVERNOR`, `GOVERNOR`; the speeds as words or numbers."""
    speeds, colon, governor = text.lower().partition(":")
    low, dash, high = speeds.partition("-")
    if not text:
        raise BadValue("Invalid --cpu-freq argument")
    if dash and not colon:
        raise BadValue(
            "You must explicitly choose a governor when defining a range. Please specify only one value for the "
            "desired frequency (p1) or choose a specific governor (p3).\nInvalid --cpu-freq argument"
        )
    for word, allowed in ((low, _CPU_SPEEDS + _GOVERNORS), (high, _CPU_SPEEDS), (governor, _GOVERNORS)):
        if word and word not in allowed and not (word.isdigit() and word != governor):
            raise BadValue('unrecognized --cpu-freq argument "VALUE"\nInvalid --cpu-freq argument', word)
        if word in _GOVERNORS and word not in _ALLOWED_GOVERNORS:
            raise BadValue("governor of VALUE is not allowed in slurm.conf\nInvalid --cpu-freq argument", word)
    return text


_ALLOWED_GOVERNORS = ("ondemand", "performance", "userspace")
"""Slurm's default for a site that says nothing."""


def cpu_freq_text(text: str) -> str:
    """As the job sees it: `Low-High:Performance`, numbers as they are."""
    return re.sub("[a-z]+[0-9]*", lambda word: _SPELLED_SPEEDS.get(word[0], word[0].capitalize()), text.lower())


_SPELLED_SPEEDS = {"ondemand": "OnDemand", "userspace": "UserSpace"}


def gpu_freq(text: str) -> str:
    for part in text.lower().split(","):
        kind, equals, speed = part.partition("=")
        speed = speed if equals else kind
        if equals and kind not in ("gpu", "memory"):
            raise BadValue(f"Invalid --gpu-freq argument: {part}")
        if not equals and part == "verbose":
            continue
        if speed not in _CPU_SPEEDS and not speed.isdigit():
            raise BadValue(f"Invalid --gpu-freq argument: {kind if equals else 'gpu'}:{speed}")
    return text


_GPU_BINDINGS = ("closest", "none", "single", "per_task", "map", "mask", "map_gpu", "mask_gpu")


def gpu_bind(text: str) -> str:
    kind = text.lower().removeprefix("verbose,").removeprefix("v,").partition(":")[0]
    if kind not in _GPU_BINDINGS:
        raise BadValue("Invalid --gpu-bind argument: VALUE", text)
    return text


_MEMORY_BINDINGS = (
    *("q", "quiet", "v", "verbose", "no", "none", "rank", "local", "map_mem", "mask_mem"),
    *("sort", "nosort", "p", "prefer"),
)


def mem_bind(text: str) -> str:
    numbers = False
    for word in text.lower().split(","):
        kind = word.partition(":")[0]
        if kind not in _MEMORY_BINDINGS and not numbers:
            raise BadValue('unrecognized --OPTION argument "VALUE"', text)
        numbers = numbers or kind in ("map_mem", "mask_mem")
    return text


_GRES_FLAGS = ("disable-binding", "enforce-binding", "multiple-tasks-per-sharing", "one-task-per-sharing")


def gres_flags(text: str) -> str:
    for word in text.lower().split(",") if text else ():
        if word == "allow-task-sharing":
            raise BadValue("--gres-flags=allow-task-sharing is only used with srun.")
        if word == "one-task-per-sharing":
            raise BadValue(
                "In order to use --gres-flags=one-task-per-sharing you must also have "
                "SelectTypeParameters=MULTIPLE_SHARING_GRES_PJ in your slurm.conf"
            )
        if word not in _GRES_FLAGS:
            raise BadValue("Invalid --OPTION specification: VALUE", word)
    return text


def only_root(is_root: bool) -> None:
    if not is_root:
        raise BadValue("--OPTION only permitted by root user")


def group_number(text: str, user: User) -> int:
    """A group by number, or by the name of one of the user's own."""
    if text.isascii() and text.isdigit() and len(text) < 11:
        return int(text)
    if text in user.group_names:
        return user.groups[user.group_names.index(text)]
    raise BadValue()
