"""Job arrays as -a takes them and as Slurm shows them: `0-9,12,20-40:2%4`.

The controller's rules of 25.11, oddities included: `%2` alone is index 0, brackets and empty items do not
matter, what follows the first % is a number or nothing.
"""

from adapters.slurm.values import leading_integer
from bridge.core import indexset
from bridge.core.errors import Refused
from bridge.core.request import Array


def parse(text: str, max_array_size: int) -> Array | None:
    """None for the empty text. Refused (invalid_array) for what the controller refuses."""
    if not text:
        return None
    body, percent, limit_text = text.partition("%")
    more = ""
    if percent:
        # After the limit's digits further items may follow a comma; all else is not read.
        limit_text, comma, more = limit_text.partition(",")
        more = comma + more.partition("%")[0]
    limit = leading_integer(limit_text) if percent else 0
    items = [item for item in (body + more).replace("[", "").replace("]", "").split(",") if item]
    ranges = [_one(item.lstrip(" \t"), text, max_array_size) for item in items] or [indexset.from_range(0, 0)]
    indices = indexset.union(ranges)
    return Array(indices, limit if 0 < limit < 2**31 else None, text)


def _one(item: str, text: str, max_array_size: int) -> indexset.IndexSet:
    span, colon, step_text = item.partition(":")
    first_text, dash, last_text = span.partition("-")
    first = _number(first_text, text)
    if not dash:
        if colon:
            raise _refused(text, f"{item!r} has a step but no range")
        last, step = first, 1
    else:
        last = _number(last_text, text)
        step = _number(step_text, text) if colon else 1
    if last < first:
        raise _refused(text, f"{item!r} counts backwards")
    if not 0 < step < max_array_size:
        raise _refused(text, f"the step of {item!r} is not between 1 and {max_array_size - 1}")
    if last >= max_array_size:
        raise _refused(text, f"index {last} is above {max_array_size - 1}, the highest here")
    return indexset.from_range(first, last, step)


def _number(digits: str, text: str) -> int:
    digits = digits.removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12:
        raise _refused(text, f"{digits!r} is no index")
    return int(digits)


def _refused(text: str, why: str) -> Refused:
    return Refused(f"cannot read the job array {text!r}: {why}", code="invalid_array", field="array")


def render(indices: indexset.IndexSet, throttle: int | None, cut: int = 64) -> str:
    """`[5-9%2]`, as in the id of an array's waiting rest. `cut`: length the list is cut to; 0: not at all."""
    text = _listed(indices)
    if cut and len(text) > cut - 1:
        text = text[: max(0, cut - 4)] + "..."
    return f"[{text}%{throttle}]" if throttle else f"[{text}]"


_STEP_FORM_SPAN = 10
"""A single range with a step is written `0-900:2` only when it reaches further than this."""


def _listed(indices: indexset.IndexSet) -> str:
    ranges = indices.ranges
    if len(ranges) == 1 and ranges[0][2] > 1 and ranges[0][1] - ranges[0][0] > _STEP_FORM_SPAN:
        return str(indices)
    flat = (r if r[2] == 1 else None for r in ranges)
    if all(flat):
        return str(indices)
    return str(indexset.of(indices))
