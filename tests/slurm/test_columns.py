"""Formats of -o and -O."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm.columns import Column, compile_letters, compile_names

LETTERS = {"i": Column("ID", str), "n": Column("NAME", lambda row: f"name{row}")}
NAMES = {"id": LETTERS["i"], "name": LETTERS["n"]}


@pytest.mark.parametrize(
    ("text", "line", "bad"),
    [
        ("%i", "7", []),
        ("%5i|", "7    |", []),
        ("%.5i|", "    7|", []),
        ("%.3n", "nam", []),
        ("a%ib%nc", "a7bname7c", []),
        ("%%i", "7", []),
        ("abc", "abc", []),
        ("", "", []),
        ("%q %i", "%q 7", ["q"]),
        ("%-6i", "%-6i", ["-"]),
        ("%all", "7|name7", []),
    ],
)
def test_letters(text, line, bad):
    printer, said = compile_letters(text, LETTERS, list(LETTERS.values()))
    assert (printer.lines([7]), said) == ([line], bad)


@pytest.mark.parametrize(
    ("text", "line", "bad"),
    [
        ("id", "7                   ", []),
        ("ID:3,Name:.6", "7   name7", []),
        ("id:|,name:0", "7|name7", []),
        ("id:3%,x", "7  %", ["x"]),
    ],
)
def test_names(text, line, bad):
    printer, said = compile_names(text, NAMES)
    assert (printer.lines([7]), said) == ([line], bad)


@given(st.text(alphabet="%.-0123456789ainqx|: ,", max_size=30))
def test_any_format_prints(text):
    for printer, _ in (compile_letters(text, LETTERS), compile_names(text, NAMES)):
        assert isinstance(printer.header(), str)
        assert len(printer.lines([1, 2])) == 2


def test_what_is_absent_stands_whole_or_not_at_all():
    letters = {"k": Column("COMMENT", lambda row: "(null)")}
    [line] = compile_letters("%5k|%6k|%k", letters)[0].lines([0])
    assert line == "     |(null)|(null)"
    [named] = compile_names("comment:3,comment:8", {"comment": letters["k"]})[0].lines([0])
    assert named == "   (null)  "


def test_a_time_is_never_cut():
    letters = {"L": Column("TIME_LEFT", lambda row: "30:00", is_cut=False)}
    assert compile_letters("%.3L|%-9L", letters)[0].lines([0]) == ["30:00|%-9L"]


def test_a_width_from_outside_does_not_fill_the_memory():
    printer, _ = compile_letters("%999999999999i", LETTERS)
    assert len(printer.lines([1])[0]) <= 10_000
