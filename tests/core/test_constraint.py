import pytest

from bridge.core import constraint


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
        ("!old&ib", ["ib"], ["old ib"]),
        ("a&b|c", ["a b", "c"], ["a", "b"]),
    ],
)
def test_what_it_asks_of_one_node(text, yes, no):
    matches = constraint.matcher(text)
    assert [matches(tuple(have.split())) for have in (*yes, *no)] == [True] * len(yes) + [False] * len(no)


@pytest.mark.parametrize("text", ["", "&a", "a&", "a||b", "(a", "a)", "[a", "a b", "a*x", "$x"])
def test_what_is_no_constraint_is_refused(text):
    with pytest.raises(constraint.BadConstraint):
        constraint.matcher(text)


def test_the_features_in_it():
    assert constraint.features_of("[intel*2&amd*1]|(x_1&!y)") == ("intel", "amd", "x_1", "y")
