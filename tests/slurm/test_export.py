"""--export in every form, as recorded of sbatch 25.11."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import export

ENVIRON = {"COLOUR": "blue", "SHAPE": "round", "SLURM_CONF": "/etc/x", "SPANK_Y": "1"}
ALWAYS = {"SLURM_CONF": "/etc/x", "SPANK_Y": "1"}
LOGIN = ("SLURM_GET_USER_ENV", "1")


@pytest.mark.parametrize(
    ("text", "environment", "login"),
    [
        (None, ENVIRON, False),
        ("ALL", ENVIRON, False),
        ("all", ENVIRON, False),
        ("NONE", ALWAYS, True),
        ("nil", ALWAYS, False),
        ("COLOUR", {**ALWAYS, "COLOUR": "blue"}, True),
        ("COLOUR=red", {**ALWAYS, "COLOUR": "red"}, True),
        ("NOSUCHVAR,COLOUR", {**ALWAYS, "COLOUR": "blue"}, True),
        ("NONE,COLOUR=red", {**ALWAYS, "COLOUR": "red"}, True),
        ("ALL,COLOUR=red", {**ENVIRON, "COLOUR": "red"}, True),
        ("ALL, COLOUR=red", {**ENVIRON, " COLOUR": "red"}, True),
        ('ALL,FRESH="a,b"', {**ENVIRON, "FRESH": '"a,b"'}, True),
        ("ALL,FRESH='a,b'", {**ENVIRON, "FRESH": "'a,b'"}, True),
        ("", ALWAYS, True),
    ],
)
def test_what_travels(text, environment, login):
    exported = export.apply(text, ENVIRON)
    assert (dict(exported.environment), exported.load_login_environment) == (environment, login)
    told = dict(exported.set_in_job)
    assert told.get("SLURM_EXPORT_ENV") == (None if text in (None, "ALL", "all") else text)
    assert (LOGIN in exported.set_in_job) == login


def test_the_login_environment_may_be_asked_for_besides():
    exported = export.apply(None, ENVIRON, get_user_env=True)
    assert (exported.environment, exported.load_login_environment, exported.set_in_job) == (ENVIRON, True, (LOGIN,))


def test_a_file_of_variables():
    assert export.from_file(b"A=1\0B=x=y\0broken\0=z\0") == {"A": "1", "B": "x=y"}


def test_packing_keeps_bytes_that_are_no_text():
    assert export.packed({"A": "\udcff", "B": "é"}) == b"A=\xff\0B=\xc3\xa9"


def test_half_a_character_that_never_was_bytes_is_replaced():
    assert export.packed({"A": "\ud800"}) == b"A=?"


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_any_list_is_applied(text, environ):
    assert export.packed(export.apply(text, environ).environment) is not None
