"""What sbatch tells about what it read: the report's entries and warnings, and the list of -v."""

from collections.abc import Iterable, Sequence

from adapters.slurm import directives, foreign
from adapters.slurm.chosen import Chosen
from adapters.slurm.getopt import Argument
from adapters.slurm.occurrences import Occurrence
from adapters.slurm.options import Place
from bridge.core.report import Entry, Report, Treatment

_NO_COUNTERPART = "sbatch takes it and does nothing with it; so it is here"


def report(
    parts: Sequence[tuple[Sequence[Occurrence], Chosen]],
    found: directives.Directives,
    translated: foreign.Translated,
    name: str,
) -> Report:
    """One entry for each occurrence, in order. `parts`: one for each component of the job."""
    entries: list[Entry] = []
    warnings = list(found.warnings)
    for every, chosen in parts:
        for one in every:
            entries.append(_entry(one, chosen))
            slip = _slip(one, chosen)
            if slip:
                warnings.append(slip)
    for line, text in translated.lost:
        entries.append(Entry(text, f"{name}:{line}", Treatment.REFUSED, _NO_COUNTERPART, changes_results=True))
    return Report(tuple(entries), tuple(warnings))


def _entry(one: Occurrence, chosen: Chosen) -> Entry:
    option = one.option
    if option.place is Place.EARLY and one.source != "command line":
        return Entry(one.spelled, one.source, Treatment.RECORDED, "does nothing here: only the command line counts")
    winner = chosen.winner_over(one)
    if winner is one or option.place is Place.EARLY:
        treatment, sentence = option.treatment, option.sentence
        if option.fills == "exclusive" and one.value in ("user", "mcs"):
            treatment, sentence = Treatment.APPROXIMATED, "recorded; other jobs may be on the same nodes"
        return Entry(one.spelled, one.source, treatment, sentence, option.changes_results)
    if winner is None:
        return Entry(one.spelled, one.source, Treatment.RECORDED, "gives way to another wish for memory")
    sentence = f"overridden by {winner.spelled} ({winner.source})"
    return Entry(one.spelled, one.source, Treatment.RECORDED, sentence)


def _slip(one: Occurrence, chosen: Chosen) -> str:
    """What people write and sbatch takes otherwise than they mean; nothing when there is none."""
    text = one.text
    if not text:
        return ""
    option = one.option
    if option.place is Place.FILES:
        if ("$" in text or text[0] == "~") and option.fills != "append":
            return f"{one.source}: {one.spelled}: sbatch expands no variables; write %u, %j, %x or a plain path"
    elif text[0] == "=" and one.spelled[:2] != "--" and one.spelled[:1] == "-":
        return f"{one.source}: {one.spelled}: the value is {text!r}; write -{option.short} {text[1:]}"
    elif option.fills == "mail_types":
        winner = chosen.winner_over(one)
        if winner is not None and winner is not one and winner.rank is one.rank:
            return f"{one.source}: {one.spelled}: only the last --mail-type counts; join the words with commas"
    if text[0] in "<{" and (text[-1] == ">" or (text[:2] == "{{" and text[-2:] == "}}")):
        return f"{one.source}: {one.spelled}: looks like a left-over of a template"
    return ""


def verbose(chosen: Chosen, level: int) -> str:
    """What -v prints: every option that is set, by name."""
    rule = f"sbatch: {'-' * 20} {'-' * 20}\n"
    lines = sorted([*_set_options(chosen), _line("verbose", str(level))])
    return f"sbatch: defined options\n{rule}{''.join(lines)}{rule}sbatch: end of defined options\n"


def _set_options(chosen: Chosen) -> Iterable[str]:
    for place in chosen.places:
        for one in place.values():
            if one.option.name == "verbose":
                continue
            value = "set" if one.option.argument is Argument.NONE or one.text is None else one.text
            yield _line(one.option.name, value)


def _line(name: str, value: str) -> str:
    return f"sbatch: {name:<20}: {value}\n"
