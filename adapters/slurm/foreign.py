"""`#PBS` and `#BSUB` lines as words of sbatch, the way sbatch 25.11 itself takes them over (asked of the real one).

One kind only: #BSUB when there is any. An option that sbatch takes and does nothing with comes back in `lost`, so
that nothing is lost in silence; one that it does not know ends the submission.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from adapters.slurm import directives


class NotUnderstood(ValueError):
    """The lines that sbatch prints, without `sbatch: `; it ends with 1 then."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


@dataclass(slots=True)
class Translated:
    words: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """Line number of each word."""
    lost: list[tuple[int, str]] = field(default_factory=list)
    """(line, what stood there) of what does nothing."""


Rule = Callable[[str], list[str] | None]
"""The value → words of sbatch; None: does nothing."""


def translate(found: list[tuple[int, str, bytes]], name: str) -> Translated:
    """`found` as `directives.Directives.foreign`; `name` is the script's, for messages."""
    translated = Translated()
    if not found:
        return translated
    kind = "BSUB" if any(its_kind == "BSUB" for _, its_kind, _ in found) else "PBS"
    rules, flags = (_BSUB, _BSUB_FLAGS) if kind == "BSUB" else (_PBS, _PBS_FLAGS)
    for number, its_kind, text in found:
        if its_kind != kind:
            translated.lost.append((number, f"#{its_kind} {text.decode('utf-8', 'surrogateescape').strip()}"))
            continue
        for option, value in _options(directives.split(text, name, number), rules, flags):
            made = flags[option] if value is None else rules[option](value)
            if made:
                translated.words += made
                translated.lines += [number] * len(made)
            else:
                translated.lost.append((number, f"#{kind} -{option} {value or ''}".rstrip()))
    return translated


def _options(words: list[str], rules: dict[str, Rule], flags: dict[str, list[str]]) -> Iterator[tuple[str, str | None]]:
    """(letter, value): values may be glued on, letters without a value bundled."""
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word[:1] != "-" or len(word) == 1:
            raise NotUnderstood(f"error: Invalid argument: {word}")
        if word[1:] == "cwd" and "cwd" in rules:
            letter, rest = "cwd", ""
        else:
            letter, rest = word[1], word[2:]
        while letter in flags:
            yield letter, None
            letter, rest = rest[:1], rest[1:]
        if not letter:
            continue
        if letter not in rules:
            raise _unknown(f"invalid option -- '{letter}'")
        if not rest:
            if at == len(words):
                raise _unknown(f"option requires an argument -- '{letter}'")
            rest = words[at]
            at += 1
        yield letter, rest


def _unknown(complaint: str) -> NotUnderstood:
    return NotUnderstood(complaint, "error: Unrecognized command line parameter ?")


def _option(name: str) -> Rule:
    return lambda value: [f"--{name}={value}"]


def _nothing(_: str) -> None:
    return None


# ── #PBS ──────────────────────────────────────────────────────────────────────────────────────────

_MAIL = {"a": "FAIL", "b": "BEGIN", "e": "END", "n": "NONE"}


def _mail(value: str) -> list[str] | None:
    kinds = [_MAIL[letter] for letter in value if letter in _MAIL]
    return [f"--mail-type={','.join(kinds)}"] if kinds else None


def _resources(value: str) -> list[str] | None:
    """`-l walltime=1:00:00,nodes=2:ppn=4,mem=4gb`; what is not known among them does nothing."""
    return [word for item in value.split(",") for word in _resource(item)] or None


def _resource(item: str) -> list[str]:
    name, _, amount = item.partition("=")
    match name:
        case "walltime" | "cput" | "pcput":
            return [f"--time={amount}"]
        case "nodes":
            return _nodes(amount)
        case "select":
            count, *chunk = amount.split(":")
            return [f"--nodes={count}", *(word for part in chunk for word in _chunk(part))]
        case "mem":
            return [f"--mem={_memory(amount)}"]
        case "file":
            return [f"--tmp={_memory(amount)}"]
        case "ncpus":
            return [f"--mincpus={amount}"]
        case "nice":
            return [f"--nice={amount}"]
        case "mppnodes":
            return [f"--nodelist={amount}"]
        case "accelerator" if amount.lower() == "true":
            return ["--gres=gpu"]
    return []


def _chunk(part: str) -> list[str]:
    name, _, amount = part.partition("=")
    match name:
        case "ncpus":
            return [f"--mincpus={amount}"]
        case "mpiprocs":
            return [f"--ntasks-per-node={amount}"]
        case "mem":
            return [f"--mem={_memory(amount)}"]
        case "ngpus":
            return [f"--gres=gpu:{amount}"]
    return []


def _nodes(amount: str) -> list[str]:
    """`2:ppn=4:gpus=1`, or names joined by +."""
    first, *properties = amount.split(":")
    if not first.isdigit():
        names = first.split("+")
        return [f"--nodelist={','.join(names)}", f"--nodes={len(names)}"]
    made = [f"--nodes={first}"]
    for item in properties:
        name, _, number = item.partition("=")
        if name == "ppn" and number.isdigit():
            made.append(f"--ntasks={int(first[:9]) * int(number[:9])}")
        elif name == "gpus":
            made.append(f"--gres=gpu:{number}")
        else:
            made.append(f"--nodelist={name}")
    return made


def _memory(amount: str) -> str:
    """Megabytes without a unit. An amount in bytes (b) is meant so, though sbatch takes it for megabytes."""
    number = amount.rstrip("bBwW")
    if number != amount and number.isdigit():
        return f"{-(-int(number[:18]) // 1024)}K"
    return number


def _rerun(value: str) -> list[str] | None:
    return {"y": ["--requeue"], "n": ["--no-requeue"]}.get(value[:1].lower())


def _attributes(value: str) -> list[str] | None:
    """`-W depend=afterok:12`"""
    name, _, rest = value.partition("=")
    return [f"--dependency={rest}"] if name == "depend" and rest else None


_PBS: dict[str, Rule] = {
    "a": _option("begin"),
    "A": _option("account"),
    "c": _nothing,
    "C": _nothing,
    "d": _option("chdir"),
    "e": _option("error"),
    "j": _nothing,
    "J": _option("array"),
    "k": _nothing,
    "l": _resources,
    "m": _mail,
    "M": _option("mail-user"),
    "N": _option("job-name"),
    "o": _option("output"),
    "p": _option("nice"),
    "q": _option("partition"),
    "r": _rerun,
    "S": _nothing,
    "t": _option("array"),
    "u": _nothing,
    "v": lambda value: [f"--export=ALL,{value}"],
    "w": _option("chdir"),
    "W": _attributes,
}
_PBS_FLAGS = {"h": ["--hold"], "I": list[str](), "V": ["--export=ALL"], "z": list[str]()}


# ── #BSUB ─────────────────────────────────────────────────────────────────────────────────────────


def _slots(value: str) -> list[str]:
    """`least,most`: sbatch takes the most."""
    return [f"--ntasks={value.rpartition(',')[2]}"]


def _kilobytes(value: str) -> list[str]:
    """For each CPU, in kilobytes unless a unit is given."""
    return [f"--mem-per-cpu={value}{'K' if value.isdigit() else ''}"]


_BSUB: dict[str, Rule] = {
    "c": _option("chdir"),
    "cwd": _option("chdir"),
    "e": _option("error"),
    "J": _option("job-name"),
    "m": lambda value: [f"--nodelist={','.join(value.split())}"],
    "M": _kilobytes,
    "n": _slots,
    "o": _option("output"),
    "q": _option("partition"),
    "W": _option("time"),
}
_BSUB_FLAGS = {"x": ["--exclusive"]}
