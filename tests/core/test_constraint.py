import pytest

from bridge.core import constraint
from bridge.core.errors import Refused


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("ib", ["ib"], ["intel"]),
        ("intel&ib", ["intel ib"], ["intel", "ib"]),
        ("intel,ib", ["intel ib"], ["intel", "ib"]),
        ("intel|amd", ["intel", "amd"], ["arm"]),
        ("(intel|amd)&ib", ["amd ib"], ["amd", "ib"]),
        ("[intel|amd]", ["intel", "amd"], ["arm"]),
        ("intel*2", ["intel"], ["amd"]),
        ("[intel*2&amd*1]", ["intel", "amd"], ["arm"]),
        ("a&b|c", ["a b", "c"], ["a", "b"]),
    ],
)
def test_what_it_asks_of_one_node(text, yes, no):
    expression = constraint.parse(text)
    assert [expression.matches(have.split()) for have in (*yes, *no)] == [True] * len(yes) + [False] * len(no)


@pytest.mark.parametrize(
    "text", ["", "&a", "a||b", "(a", "a)", "[a", "a b", "a*x", "a*0", "!a", "[a|b]&[c|d]", "a*1&b*1"]
)
def test_what_is_no_constraint_is_refused(text):
    with pytest.raises(Refused):
        constraint.parse(text)


def test_the_features_in_it():
    assert list(constraint.parse("(intel|amd)&x_1").names()) == ["intel", "amd", "x_1"]
