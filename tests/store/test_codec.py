from hypothesis import given
from hypothesis import strategies as st

from bridge.core import dag
from bridge.core.indexset import IndexSet
from bridge.core.job import End, Share, Stop
from bridge.core.report import Entry, Report, Treatment
from bridge.core.request import Array, Component, Files, Gres, JobRequest, Origin, Program, SignalWish
from bridge.store import codec
from tests.builders import a_request

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # surrogates and NUL too
_NUMBERS = st.integers(-(2**40), 2**40)


def test_fields_at_their_default_are_left_out() -> None:
    assert codec.dump(End(exit_status=3)) == '{"exit_status":3}'


def test_what_is_shown_has_all_fields() -> None:
    assert codec.dump_all(Stop("cancel", 7, 1.0)) == '{"kind":"cancel","by_uid":7,"at":1.0,"signal":null}'


def test_fields_of_a_newer_release_are_ignored() -> None:
    assert codec.load(End, '{"exit_status":3,"colour":"red"}') == End(exit_status=3)


def test_text_that_is_no_utf8_is_kept() -> None:
    request = a_request(name="a\udc80\0b")
    written = codec.dump(request)
    assert written.isascii()
    assert codec.load(JobRequest, written) == request


def test_shares_come_back_with_their_devices() -> None:
    shares = (Share("n1", 2, 512, 1, (("gpu", "a100", (0, 1)), ("gpu", None, ()))), Share("n2", 1, 0, 0))
    assert codec.load(tuple[Share, ...], codec.dump(shares)) == shares


_gres = st.builds(Gres, ANY_TEXT, st.none() | ANY_TEXT, _NUMBERS)
_components = st.builds(
    Component,
    nodes_min=st.none() | _NUMBERS,
    node_sizes=st.none() | st.lists(_NUMBERS).map(tuple),
    gres_per_node=st.lists(_gres).map(tuple),
    exclusive=st.sampled_from([None, "node", "user"]),
    oversubscribe=st.booleans(),
    partitions=st.lists(ANY_TEXT).map(tuple),
)
_clauses = st.builds(dag.Clause, st.sampled_from(dag.Kind), st.none() | _NUMBERS, st.none() | _NUMBERS)
_sets = st.lists(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS)).map(lambda ranges: IndexSet(tuple(ranges)))
_requests = st.builds(
    JobRequest,
    name=ANY_TEXT,
    user=ANY_TEXT,
    uid=_NUMBERS,
    gid=_NUMBERS,
    origin=st.sampled_from(Origin),
    program=st.builds(Program, arguments=st.lists(ANY_TEXT).map(tuple), wrapped=st.booleans()),
    components=st.lists(_components, min_size=1, max_size=2).map(tuple),
    array=st.none() | st.builds(Array, _sets, st.none() | _NUMBERS, ANY_TEXT),
    dependency=st.none() | st.builds(dag.Dependency, st.lists(_clauses).map(tuple), st.booleans()),
    begin_at=st.none() | st.floats(allow_nan=False),
    requeue=st.sampled_from([None, True, False]),
    signal=st.none() | st.builds(SignalWish, _NUMBERS),
    files=st.builds(Files, stdout=st.none() | ANY_TEXT),
    rlimits=st.lists(st.tuples(ANY_TEXT, _NUMBERS, _NUMBERS)).map(tuple),
    recorded=st.lists(st.tuples(ANY_TEXT, ANY_TEXT)).map(tuple),
)


@given(_requests)
def test_every_request_comes_back_as_it_was(request: JobRequest) -> None:
    read = codec.load(JobRequest, codec.dump(request))
    assert read == request
    assert repr(read) == repr(request)  # types too: a list is not a tuple, 1 is not True


@given(st.lists(st.builds(Entry, ANY_TEXT, ANY_TEXT, st.sampled_from(Treatment), ANY_TEXT, st.booleans())))
def test_every_report_comes_back_as_it_was(entries: list[Entry]) -> None:
    report = Report(tuple(entries), ("w",))
    assert codec.load(Report, codec.dump(report)) == report
