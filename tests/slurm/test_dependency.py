"""Dependencies as a real controller 25.11 took, refused and showed them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import dependency
from bridge.core import dag
from bridge.core.errors import Refused


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("singleton", "singleton(unfulfilled)"),
        ("SINGLETON", "singleton(unfulfilled)"),
        ("12", "afterany:12(unfulfilled)"),
        ("1,2", "afterany:1(unfulfilled),afterany:2(unfulfilled)"),
        ("afterok:12:13", "afterok:12(unfulfilled),afterok:13(unfulfilled)"),
        ("AfterOk:12,afterany:13", "afterok:12(unfulfilled),afterany:13(unfulfilled)"),
        ("after:12+5", "after:12+5(unfulfilled)"),
        ("afterok:12_3", "afterok:12_3(unfulfilled)"),
        ("afterany:12_*", "afterany:12_*(unfulfilled)"),
        ("afterok:1?afterok:2", "afterok:1(unfulfilled)?afterok:2(unfulfilled)"),
        ("singleton,singleton", "singleton(unfulfilled)"),
        ("afterany: 12", "afterany:12(unfulfilled)"),
        ("aftercorr:9", "aftercorr:9(unfulfilled)"),
        ("afterburstbuffer:9", "afterburstbuffer:9(unfulfilled)"),
        ("afternotok:9", "afternotok:9(unfulfilled)"),
    ],
)
def test_dependencies(text, shown):
    assert dependency.render(dependency.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "0"])
def test_no_dependency(text):
    assert dependency.parse(text) is None
    assert dependency.render(None) is None


@pytest.mark.parametrize(
    "text",
    [
        *("afterok", "afterok:", "afterok:abc", "afterok:1:", "afterok:-4", "after:1+x", "after:1+", "1:2", "foo:1"),
        *(",", "?", "singleton,", "singleton:1", "afterany:0", "afterany:1_x", "afterany:1.0", "afterok:٣"),
        "afterok:1,afterany:2?after:3",
        *("after:1+0", "afterok:1 ", "afterok:1_", "afterok:1_1-2", "afterok:1_[2-1]"),
    ],
)
def test_what_is_no_dependency(text):
    with pytest.raises(Refused) as refused:
        dependency.parse(text)
    assert refused.value.code == "bad_dependency"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("afterok:1_[0-1,4]", "afterok:1_0(unfulfilled),afterok:1_1(unfulfilled),afterok:1_4(unfulfilled)"),
        ("after:1+1:1+2", "after:1+1(unfulfilled)"),
        ("afterok: 1", "afterok:1(unfulfilled)"),
    ],
)
def test_tasks_in_brackets_and_jobs_named_twice(text, shown):
    assert dependency.render(dependency.parse(text)) == shown


def test_no_job_is_expanded():
    with pytest.raises(Refused) as refused:
        dependency.parse("expand:1")
    assert refused.value.code == "not_supported"


def test_satisfied_clauses_vanish_and_failed_ones_are_told():
    wish = dependency.parse("afterok:1:2:3")
    states = (dag.Answer.READY, dag.Answer.NEVER, dag.Answer.WAIT)
    assert dependency.render(wish, states) == "afterok:2(failed),afterok:3(unfulfilled)"
    assert dependency.render(wish, (dag.Answer.READY,) * 3) is None


CLAUSES = st.builds(
    dag.Clause,
    st.sampled_from([kind for kind in dag.Kind if kind is not dag.Kind.SINGLETON]),
    st.integers(1, 99999),
    st.none() | st.integers(0, 1000),
    st.integers(0, 100),
)


@given(st.lists(CLAUSES, min_size=1, max_size=6, unique_by=lambda c: (c.kind, c.job_id, c.task)), st.booleans())
def test_what_is_shown_is_read_back(clauses, any_of):
    wish = dag.Dependency(tuple(clauses), any_of and len(clauses) > 1)
    shown = dependency.render(wish).replace("(unfulfilled)", "")
    assert dependency.parse(shown) == wish


@given(st.text(alphabet="afterokny:singleton0123456789,?+_* ", max_size=30) | st.text(max_size=20))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(Refused):
        dependency.parse(text)
