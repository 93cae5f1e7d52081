"""Job arrays as a real controller 25.11 took, refused and showed them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import arrayspec
from bridge.core import indexset
from bridge.core.errors import Refused


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *(("0-3", "[0-3]"), ("0-10:3", "[0,3,6,9]"), ("5", "[5]"), ("1-3,2-4", "[1-4]"), ("[0-2]", "[0-2]")),
        *(("1-20%4", "[1-20%4]"), ("0-4%0", "[0-4]"), ("%2", "[0%2]"), ("0-4%x", "[0-4]"), ("1, 2", "[1-2]")),
        *(("1,", "[1]"), ("1-3%2,5", "[1-3,5%2]"), ("1%2%3", "[1%2]"), ("[1,2],[3]", "[1-3]"), ("1-3% 2", "[1-3%2]")),
        *(("0-4:1000", "[0]"), ("+1", "[1]"), ("007", "[7]"), ("0-900:2", "[0-900:2]"), ("[", "[0]")),
    ],
)
def test_arrays(text, shown):
    array = arrayspec.parse(text, 1001)
    assert arrayspec.render(array.indices, array.throttle) == shown
    assert array.text == text


@pytest.mark.parametrize(
    "text",
    [
        *("3-1", "abc", "1.5", "1..4", "1-", "-1", "0-4:0", "1001", "1:2", "1-3:", "0-4:1001", "1-3,x", "1 - 3"),
        *("1,2 ", "1 ,2", "1-3 %2", "0x10", "٣"),
    ],
)
def test_what_is_no_array(text):
    with pytest.raises(Refused) as refused:
        arrayspec.parse(text, 1001)
    assert refused.value.code == "invalid_array"


def test_an_empty_text_is_no_array():
    assert arrayspec.parse("", 1001) is None


def test_a_long_list_is_cut():
    indices = indexset.of(range(0, 300, 7))
    shown = arrayspec.render(indices, 3)
    assert shown == "[0,7,14,21,28,35,42,49,56,63,70,77,84,91,98,105,112,119,126,1...%3]"
    assert len(arrayspec.render(indices, None, cut=0)) > 100


INDICES = st.sets(st.integers(0, 1000), min_size=1, max_size=40)


@given(INDICES, st.none() | st.integers(1, 50))
def test_what_is_shown_is_read_back(indices, throttle):
    shown = arrayspec.render(indexset.of(indices), throttle, cut=0)
    array = arrayspec.parse(shown, 1001)
    assert (set(array.indices), array.throttle) == (indices, throttle)


@given(st.text(alphabet="0123456789-,:%[] x", max_size=25))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(Refused):
        array = arrayspec.parse(text, 1001)
        assert array is None or all(0 <= index <= 1000 for index in array.indices)
