"""What strangers may send."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.slurmcli import wire
from bridge.slurmcli.wire import BadCall, Call, Reply


def test_a_whole_call():
    body = {
        "argv": ["-N2", "x\udcff"],
        "env": {"A": "b"},
        "cwd": "/w",
        "umask": 0o77,
        "rlimits": {"RLIMIT_STACK": [8192, -1]},
        "host": "login",
        "tty_err": True,
        "pid": 7,
        "key": "k",
        "files": {"stdin": {"base64": base64.b64encode(b"x").decode()}, "script: a": {"error": "ENOENT"}},
        "state": {"n": 1},
        "answer": "y",
    }
    assert wire.call_from_json(body) == Call(
        argv=("-N2", "x\udcff"),
        environ={"A": "b"},
        working_directory="/w",
        umask=0o77,
        rlimits=(("RLIMIT_STACK", 8192, -1),),
        host="login",
        writes_to_terminal=True,
        files={"stdin": b"x", "script: a": "ENOENT"},
        idempotency_key="k",
        state={"n": 1},
        answer="y",
    )


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {"argv": "x"},
        {"argv": [1]},
        {"env": []},
        {"env": {"A": 1}},
        {"cwd": 1},
        {"umask": "022"},
        {"umask": True},
        {"rlimits": {"RLIMIT_STACK": [1]}},
        {"rlimits": {"RLIMIT_STACK": ["a", "b"]}},
        {"files": {"stdin": "x"}},
        {"files": {"stdin": {}}},
        {"files": {"stdin": {"base64": "!"}}},
        {"state": [1]},
    ],
)
def test_what_is_no_call_is_refused(body: object):
    with pytest.raises(BadCall):
        wire.call_from_json(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["argv", "env", "cwd", "umask", "rlimits", "host", "files", "state", "answer", "key"])


@given(st.dictionaries(NAMES, JSON))
def test_anything_is_a_call_or_refused(body: dict[str, object]):
    try:
        call = wire.call_from_json(body)
    except BadCall:
        return
    assert all(isinstance(word, str) for word in call.argv)


def test_replies_as_json():
    assert Reply("a", "b", 3).as_json() == {"out": "a", "err": "b", "code": 3}
    assert Reply(needs=("stdin",)).as_json() == {"need": ["stdin"]}
    assert Reply(again_in_seconds=2.0, state={"n": 1}).as_json() == {
        "out": "",
        "err": "",
        "code": 0,
        "again_in_seconds": 2.0,
        "state": {"n": 1},
    }
    assert Reply(question="?", state={}).as_json() == {"out": "", "err": "", "code": 0, "ask": "?", "state": {}}
    assert Reply(written=(("p", b"\xff"),)).as_json()["write"] == [{"path": "p", "base64": "/w=="}]
    assert json.loads(json.dumps(Reply("x\udcff").as_json()))["out"] == "x\udcff"
