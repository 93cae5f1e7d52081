"""The table of what people write, in tests/scripts/README.md: every row stands in a script that runs and is checked."""

import re

import pytest

from tests.e2e import cases

_ROW = re.compile(r"\| (?P<what>.+?) \| `(?P<text>.+)` \| (?P<script>[\w-]+) \|")
_LINES = [
    line
    for line in (cases.DIRECTORY / "README.md").read_text().splitlines()
    if line.startswith("|") and not re.match(r"\|(---|\s*what )", line)
]
_CASES = {case.name: case for case in cases.load()}


@pytest.mark.parametrize("line", _LINES)
def test_a_row_names_a_script_in_which_its_text_stands(line: str) -> None:
    row = _ROW.fullmatch(line)
    assert row is not None, "not of the form | what | `text` | script |"
    assert row["script"] in _CASES
    beside = (cases.DIRECTORY / f"{row['script']}.toml").read_text()
    text = row["text"].replace("\\|", "|").replace("\\t", "\t")
    assert text in _CASES[row["script"]].script.decode(errors="replace") or text in beside
