"""Node lists, expanded and written as scontrol show hostnames and hostlist of 25.11 do."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import hostlist


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-3],m7", ["n1", "n2", "n3", "m7"]),
        ("n[01-03]", ["n01", "n02", "n03"]),
        ("n[08-11]", ["n08", "n09", "n10", "n11"]),
        ("n[1-2]m[3-4]", ["n1m3", "n1m4", "n2m3", "n2m4"]),
        ("n[1-2]-ib", ["n1-ib", "n2-ib"]),
        ("n[1,3-4]", ["n1", "n3", "n4"]),
        ("a, b\tc", ["a", "b", "c"]),
        ("", []),
    ],
)
def test_expanding(text, names):
    assert hostlist.expand(text) == names


@pytest.mark.parametrize(
    "text", ["n[1-", "n[3-1]", "n[a-b]", "n[1,,2]", "n[]", "n[1[2]]", "n]", "n[0-99999999]", "n[-1]"]
)
def test_what_is_no_list(text):
    with pytest.raises(hostlist.BadList):
        hostlist.expand(text)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("n9,n10", "n[9-10]"),
        ("n09,n10", "n[09-10]"),
        ("n09,n9,n10", "n[09,9-10]"),
        ("n1,n01,n2,n02", "n[1,01,2,02]"),
        ("n10,n9,a,b3,n1", "n[10,9],a,b3,n1"),
        ("n1,n1", "n[1,1]"),
        ("n98,n99,n100", "n[98-100]"),
        ("n099,n100", "n[099-100]"),
        ("r1c1,r1c2,r2c1", "r1c[1-2],r2c1"),
        ("n1-ib,n2-ib", "n1-ib,n2-ib"),
    ],
)
def test_folding_keeps_order_and_doubles(names, text):
    assert hostlist.fold(names.split(",")) == text


def test_compressing_sorts_within_a_prefix_and_drops_doubles():
    assert hostlist.compress(["n3", "m7", "n1", "n2", "n1"]) == "n[1-3],m7"


def test_a_huge_list_is_refused_before_it_is_made():
    with pytest.raises(hostlist.BadList, match="more than"):
        hostlist.expand("n[0-9999][0-9999][0-9999]")


NAMES = st.from_regex(r"[a-c]{1,2}(-[a-c])?[0-9]{0,4}", fullmatch=True)


@given(st.lists(NAMES, max_size=30))
def test_folding_round_trip(names):
    assert hostlist.expand(hostlist.fold(names)) == names


@given(st.lists(NAMES, max_size=30))
def test_compressing_round_trip(names):
    assert set(hostlist.expand(hostlist.compress(names))) == set(names)
    assert len(hostlist.expand(hostlist.compress(names))) == len(set(names))


@given(st.text(alphabet="n[]-,0123456789 x", max_size=30))
def test_any_text_is_expanded_or_refused(text):
    with contextlib.suppress(hostlist.BadList):
        assert all(isinstance(name, str) for name in hostlist.expand(text))
