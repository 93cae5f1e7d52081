"""What sbatch tells about what it read: the report's entries and warnings, and the list of -v."""

from collections.abc import Sequence
from dataclasses import replace

from adapters.slurm import directives, durations, foreign
from adapters.slurm.chosen import Chosen
from adapters.slurm.getopt import Argument
from adapters.slurm.occurrences import Occurrence, Rank
from adapters.slurm.options import Place
from bridge.core.report import Entry, Report, Treatment

_NO_COUNTERPART = "sbatch takes it and does nothing with it; so it is here"


def report(
    parts: Sequence[tuple[Sequence[Occurrence], Chosen]],
    found: directives.Directives,
    translated: foreign.Translated,
    name: str,
    *,
    sends_mail: bool = False,
) -> Report:
    """One entry for each occurrence, in order. `parts`: one for each component of the job."""
    entries: list[Entry] = []
    warnings = list(found.warnings)
    for every, chosen in parts:
        for one in every:
            entry = _entry(one, chosen)
            if sends_mail and one.option.fills in ("mail_types", "mail_user") and entry.sentence == one.option.sentence:
                entry = replace(entry, treatment=Treatment.ACTED_ON, sentence="mail is sent by the site's command")
            entries.append(entry)
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
            treatment, sentence = Treatment.APPROXIMATED, "other jobs may be on the same nodes"
        return Entry(one.spelled, one.source, treatment, sentence, option.changes_results)
    if winner is None:
        return Entry(one.spelled, one.source, Treatment.RECORDED, "gives way to a stronger wish that excludes it")
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
    told = {one.option.name: _value(one) for place in chosen.places for one in place.values() if _is_told(one)}
    told["verbose"] = str(level)
    lines = [f"sbatch: {name:<20}: {told[name]}\n" for name in sorted(told)]
    return f"sbatch: defined options\n{rule}{''.join(lines)}{rule}sbatch: end of defined options\n"


def _is_told(one: Occurrence) -> bool:
    return one.option.place is not Place.EARLY or one.rank is Rank.COMMAND_LINE


_FLAGS_BY_NAME = frozenset({"requeue", "no-requeue", "exclusive", "oversubscribe"})


def _value(one: Occurrence) -> str:
    name = one.option.name
    if one.option.fills in ("time_limit_seconds", "time_min_seconds") and isinstance(one.value, int):
        return durations.long_limit(one.value)
    if name in _FLAGS_BY_NAME and not one.text:
        return name
    return "set" if one.option.argument is Argument.NONE or one.text is None else one.text
