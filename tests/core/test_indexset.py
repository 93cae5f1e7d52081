import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import indexset
from bridge.core.indexset import IndexSet

index_sets = st.lists(
    st.builds(
        lambda first, length, step: (first, first + length * step, step),
        st.integers(0, 60),
        st.integers(0, 9),
        st.integers(1, 4),
    ),
    max_size=4,
).map(lambda ranges: indexset.union(indexset.from_range(*r) for r in ranges))


@given(index_sets)
def test_a_set_is_read_back_as_it_was_written(a):
    assert set(indexset.parse(str(a))) == set(a)


@given(index_sets)
def test_it_is_an_ordered_set(a):
    assert list(a) == sorted(set(a))
    assert len(a) == len(set(a))
    if a:
        assert (a.minimum, a.maximum) == (min(a), max(a))


@given(index_sets, st.lists(st.integers(0, 100), max_size=5))
def test_without(a, gone):
    assert set(a.without(gone)) == set(a) - set(gone)


@given(index_sets, index_sets)
def test_union_and_intersection(a, b):
    assert set(indexset.union([a, b])) == set(a) | set(b)
    assert set(a.intersection(b)) == set(a) & set(b)


@given(index_sets, st.integers(0, 100))
def test_membership_and_position(a, index):
    assert (index in a) == (index in set(a))
    if index in a:
        assert a.position(index) == sorted(a).index(index)
        assert a.at(a.position(index)) == index
    else:
        with pytest.raises(ValueError, match="is not in"):
            a.position(index)


def test_a_million_indices_are_one_range():
    large = indexset.from_range(0, 999_999)
    began = time.perf_counter()
    for _ in range(100):
        large = large.without([large.minimum])
    assert (str(large), len(large)) == ("100-999999", 999_900)
    assert time.perf_counter() - began < 5  # would be minutes if the set were unfolded each time


@pytest.mark.parametrize("text", ["3-1", "a", "1-", "-1", "1-4:0", "1:x"])
def test_what_is_no_set_is_refused(text):
    with pytest.raises(ValueError):
        indexset.parse(text)


def test_an_empty_set():
    assert (str(IndexSet()), len(IndexSet()), list(IndexSet()), bool(IndexSet())) == ("", 0, [], False)
