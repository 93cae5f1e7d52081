"""`#PBS` and `#BSUB` lines as words of sbatch, the way sbatch itself takes them over.

What has no counterpart comes back as a sentence, so that nothing is lost in silence.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.slurm import directives


@dataclass(slots=True)
class Translated:
    words: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """Line number of each word."""
    lost: list[tuple[int, str]] = field(default_factory=list)
    """(line, option) without a counterpart."""


def translate(found: list[tuple[int, str, str]], name: str) -> Translated:
    """sbatch takes at most one kind: that of the first such line."""
    translated = Translated()
    if not found:
        return translated
    kind = found[0][1]
    for number, its_kind, text in found:
        words = directives.split(text, name, number)
        if its_kind != kind:
            translated.lost.append((number, f"#{its_kind} {' '.join(words)}"))
            continue
        _line(words, number, kind, translated)
    return translated


def _line(words: list[str], number: int, kind: str, translated: Translated) -> None:
    rules = _PBS if kind == "PBS" else _BSUB
    flags = _PBS_FLAGS if kind == "PBS" else _BSUB_FLAGS
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in flags:
            _add(flags[word], number, translated)
            continue
        # PBS letters may have their value glued on: `-Nname`.
        letter = word if word in rules or kind == "BSUB" else word[:2]
        rule = rules.get(letter)
        value = word[len(letter) :]
        if not value and at < len(words):
            value = words[at]
            at += 1
        made = rule(value) if rule is not None else None
        if made is None:
            translated.lost.append((number, f"#{kind} {letter} {value}".rstrip()))
        else:
            _add(made, number, translated)


def _add(made: list[str], number: int, translated: Translated) -> None:
    translated.words += made
    translated.lines += [number] * len(made)


Rule = Callable[[str], list[str] | None]


def _option(name: str) -> Rule:
    return lambda value: [f"--{name}={value}"]


_PBS_MAIL = {"a": "FAIL", "b": "BEGIN", "e": "END", "n": "NONE"}


def _pbs_mail(value: str) -> list[str] | None:
    kinds = [_PBS_MAIL[letter] for letter in value if letter in _PBS_MAIL]
    return [f"--mail-type={','.join(kinds)}"] if kinds else None


def _pbs_resources(value: str) -> list[str] | None:
    """`-l walltime=1:00:00,nodes=2:ppn=4,mem=4gb`"""
    made: list[str] = []
    for item in value.split(","):
        name, _, amount = item.partition("=")
        one = _pbs_resource(name, amount)
        if one is None:
            return None
        made += one
    return made


def _pbs_resource(name: str, amount: str) -> list[str] | None:
    match name:
        case "walltime" | "cput" | "pcput":
            return [f"--time={amount}"]
        case "nodes":
            return _pbs_nodes(amount)
        case "select":
            count, *chunk = amount.split(":")
            made = [f"--nodes={count}"]
            for part in chunk:
                key, _, number = part.partition("=")
                made += _pbs_chunk(key, number)
            return made
        case "mem" | "pmem" | "vmem" | "pvmem":
            return [f"--{'mem-per-cpu' if name[0] == 'p' else 'mem'}={_pbs_memory(amount)}"]
        case "ncpus" | "procs":
            return [f"--ntasks={amount}"] if name == "procs" else [f"--mincpus={amount}"]
        case "nice":
            return [f"--nice={amount}"]
        case "file":
            return [f"--tmp={_pbs_memory(amount)}"]
        case "host":
            return [f"--nodelist={amount}"]
        case "naccesspolicy" if amount.lower() in ("singlejob", "singletask"):
            return ["--exclusive"]
    return None


def _pbs_chunk(key: str, number: str) -> list[str]:
    match key:
        case "ncpus":
            return [f"--mincpus={number}"]
        case "mpiprocs":
            return [f"--ntasks-per-node={number}"]
        case "mem":
            return [f"--mem={_pbs_memory(number)}"]
        case "ngpus":
            return [f"--gres=gpu:{number}"]
    return []


def _pbs_nodes(amount: str) -> list[str]:
    """`2:ppn=4:gpus=1`, or names joined by +."""
    first, *properties = amount.split("+")[0].split(":")
    made = [f"--nodes={first}"] if first.isdigit() else [f"--nodelist={amount.replace('+', ',')}"]
    for item in properties:
        key, equals, number = item.partition("=")
        if key == "ppn":
            made.append(f"--ntasks-per-node={number}")
        elif key == "gpus" and equals:
            made.append(f"--gres=gpu:{number}")
    return made


def _pbs_memory(amount: str) -> str:
    """Bytes without a unit, words of 8 bytes with w; sbatch counts in K, M, G, T."""
    number = amount.rstrip("bBwW")
    if number.isdigit():
        return f"{-(-int(number[:18]) // 1024)}K"
    return number


def _pbs_rerun(value: str) -> list[str] | None:
    return {"y": ["--requeue"], "n": ["--no-requeue"]}.get(value[:1].lower())


def _pbs_variables(value: str) -> list[str]:
    return [f"--export=ALL,{value}"]


def _pbs_attributes(value: str) -> list[str] | None:
    """`-W depend=afterok:12,umask=…`"""
    name, _, rest = value.partition("=")
    return [f"--dependency={rest}"] if name == "depend" and rest else None


def _pbs_join(value: str) -> list[str] | None:
    return [] if value in ("oe", "eo", "n") else None


def _nothing(_: str) -> list[str]:
    return []


_PBS: dict[str, Rule] = {
    "-a": _option("begin"),
    "-A": _option("account"),
    "-e": _option("error"),
    "-j": _pbs_join,
    "-J": _option("array"),
    "-l": _pbs_resources,
    "-m": _pbs_mail,
    "-M": _option("mail-user"),
    "-N": _option("job-name"),
    "-o": _option("output"),
    "-p": _option("nice"),
    "-P": _option("account"),
    "-q": _option("partition"),
    "-r": _pbs_rerun,
    "-S": _nothing,
    "-t": _option("array"),
    "-v": _pbs_variables,
    "-W": _pbs_attributes,
    "-d": _option("chdir"),
    "-w": _option("chdir"),
}
_PBS_FLAGS = {"-h": ["--hold"], "-V": ["--export=ALL"], "-x": ["--exclusive"]}


def _bsub_time(value: str) -> list[str]:
    """`[hours:]minutes[/host]`"""
    clock = value.partition("/")[0]
    return [f"--time={clock}:00" if ":" in clock else f"--time={clock}"]


def _bsub_slots(value: str) -> list[str]:
    return [f"--ntasks={value.partition(',')[0]}"]


def _bsub_name(value: str) -> list[str]:
    """`name[1-10]%2` is an array."""
    name, bracket, rest = value.partition("[")
    if not bracket:
        return [f"--job-name={value}"]
    indices, _, limit = rest.partition("]")
    return [f"--job-name={name}", f"--array={indices}{limit}"]


def _bsub_nodes(value: str) -> list[str]:
    return [f"--nodelist={','.join(value.split())}"]


_BSUB: dict[str, Rule] = {
    "-c": _bsub_time,
    "-cwd": _option("chdir"),
    "-e": _option("error"),
    "-eo": _option("error"),
    "-i": _option("input"),
    "-J": _bsub_name,
    "-m": _bsub_nodes,
    "-M": _option("mem"),
    "-n": _bsub_slots,
    "-o": _option("output"),
    "-oo": _option("output"),
    "-P": _option("account"),
    "-q": _option("partition"),
    "-u": _option("mail-user"),
    "-W": _bsub_time,
}
_BSUB_FLAGS = {"-x": ["--exclusive"], "-H": ["--hold"], "-r": ["--requeue"], "-rn": ["--no-requeue"]}
