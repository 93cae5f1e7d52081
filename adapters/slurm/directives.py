"""The `#SBATCH` lines of a script: found, split into words, each word with its line.

Follows sbatch: lines that begin with the magic word count until the first line that is neither comment nor
blank; quotes group, a backslash takes the next character as it is, an unquoted # ends the line. Also finds the
slips that users do not know of (a directive too late, a misspelt word).
"""

from dataclasses import dataclass, field


class Unreadable(ValueError):
    """The message is sbatch's, without `sbatch: fatal: `."""


@dataclass(slots=True)
class Component:
    """The directives of one component of a job; a plain job has one."""

    words: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """Line number of each word."""


@dataclass(slots=True)
class Directives:
    components: list[Component] = field(default_factory=lambda: [Component()])
    foreign: list[tuple[int, str, bytes]] = field(default_factory=list)
    """(line, `PBS` or `BSUB`, rest of the line)"""
    warnings: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """Lines for standard error that do not stop sbatch, without its name."""


_MAGIC = b"#SBATCH"
_SLIPS = (b"#sbatch", b"#sbacth", b"#sbtach", b"#sbach", b"#sbatc", b"#sbath", b"#sabtch", b"#sbacht", b"#sbathc")
"""In lower case: what people write for #SBATCH, and sbatch takes for a comment."""
_OLD = "error: Change from #SLURM to #SBATCH in your script and verify the options are valid in sbatch"
_PACK = 'warning: The "packjob" component separator is deprecated. Please use "hetjob" instead.'
_LATE = 20
"""Directives after the first command that are named; more are counted only."""


def scan(script: bytes, name: str, *, with_foreign: bool = True, complaints: list[str] | None = None) -> Directives:
    """`name` is the script's, for messages. `complaints`, if given, is where they go even when it cannot be read."""
    found = Directives(complaints=complaints if complaints is not None else [])
    at, number, end = 0, 0, len(script)
    while at < end:
        newline = script.find(b"\n", at)
        stop = newline if newline >= 0 else end
        number += 1
        first = script[at : at + 7]
        if first == _MAGIC:
            _directive(script[at + 7 : stop], name, number, found)
        elif first[:1] == b"#":
            if first[1:2] in b"sSPB":
                _comment(script[at:stop], name, number, found, with_foreign)
        elif first[:1] != b"\n":
            line = script[at:stop].lstrip()
            if line and line[:1] != b"#":
                break
            if line[:7] == _MAGIC:
                found.warnings.append(
                    f"{name}:{number}: blanks before #SBATCH make the line a comment; it has to begin the line"
                )
        at = stop + 1
    _find_late(script, at, number, name, found)
    if with_foreign:
        _find_foreign(script, at, number, found)
    return found


def _comment(line: bytes, name: str, number: int, found: Directives, with_foreign: bool) -> None:
    """A comment that may be an old magic word, another system's, or a slip."""
    if line[:6] == b"#SLURM":
        if _OLD not in found.complaints:
            found.complaints.append(_OLD)
        _directive(line[6:], name, number, found)
    elif with_foreign and line[:4] == b"#PBS":
        found.foreign.append((number, "PBS", line[4:]))
    elif with_foreign and line[:5] == b"#BSUB":
        found.foreign.append((number, "BSUB", line[5:]))
    elif line.lower().startswith(_SLIPS):
        word = _text(line.split(None, 1)[0])
        found.warnings.append(f"{name}:{number}: {word} is a comment to sbatch; #SBATCH was meant?")


def _directive(rest: bytes, name: str, number: int, found: Directives) -> None:
    words = split(rest, name, number)
    if words and words[0] in ("hetjob", "packjob"):
        if words[0] == "packjob":
            found.complaints.append(_PACK)
        found.components.append(Component())
        words = words[1:]
    component = found.components[-1]
    component.words += words
    component.lines += [number] * len(words)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


_BLANKS = frozenset(" \t\n\v\f\r")
"""What C calls white space; other letters of Unicode are part of words."""


def split(data: bytes, name: str, number: int) -> list[str]:
    """The words of one directive. Unreadable for an open quote and for a word that begins with a colon."""
    if b'"' not in data and b"'" not in data and b"\\" not in data:
        words = data.partition(b"#")[0].split()
        if not any(word[:1] == b":" for word in words):
            return [_text(word) for word in words]
    line = _text(data.lstrip())
    found: list[str] = []
    at, end, ended = 0, len(line), False
    while not ended:
        begin = at
        while at < end and line[at] in _BLANKS:
            at += 1
        if at >= end:
            break
        if line[at] == ":":
            raise Unreadable(f"{name}: line {number}: Unexpected `:` in [{line[begin:]}]")
        word, at, ended = _one_word(line, begin, at, name, number)
        if not word:
            break  # as sbatch has it: an empty word, `""`, ends the line
        found.append(word)
    return found


def _one_word(line: str, begin: int, at: int, name: str, number: int) -> tuple[str, int, bool]:
    """(word, where it ends, whether a # ended the line). `begin` is where the word before ended, for messages."""
    word: list[str] = []
    quote = ""
    end = len(line)
    while at < end and (quote or line[at] not in _BLANKS):
        character = line[at]
        at += 1
        if character == "\\":
            word.append(line[at : at + 1])
            at += 1
        elif quote:
            if character == quote:
                quote = ""
            else:
                word.append(character)
        elif character in "\"'":
            quote = character
        elif character == "#":
            return "".join(word), at, True
        else:
            word.append(character)
    if quote:
        raise Unreadable(f"{name}: line {number}: Unmatched `{quote}` in [{line[begin:]}]")
    return "".join(word), at, False


def _find_foreign(script: bytes, at: int, number: int, found: Directives) -> None:
    """#PBS and #BSUB lines count wherever they stand, unlike our own: sbatch has it so."""
    for kind in (b"PBS", b"BSUB"):
        magic = b"\n#" + kind
        late, last, line = script.find(magic, at), at, number
        while late >= 0:
            line += script.count(b"\n", last, late + 1)
            last = late + 1
            stop = script.find(b"\n", last)
            rest = script[last + len(magic) - 1 : stop if stop >= 0 else len(script)]
            found.foreign.append((line, kind.decode(), rest))
            late = script.find(magic, last)


def _find_late(script: bytes, at: int, number: int, name: str, found: Directives) -> None:
    """Directives after the first command: ignored by sbatch, and hardly meant so."""
    late = script.find(b"\n" + _MAGIC, at)
    last, count = at, 0
    while late >= 0:
        number += script.count(b"\n", last, late + 1)
        last = late + 1
        count += 1
        if count <= _LATE:
            stop = script.find(b"\n", last)
            text = _text(script[last : stop if stop >= 0 else len(script)].rstrip())
            found.warnings.append(f"{name}:{number}: {text} stands after the first command and is ignored")
        late = script.find(b"\n" + _MAGIC, last)
    if count > _LATE:
        found.warnings.append(f"{name}: {count - _LATE} more directives stand after the first command and are ignored")
