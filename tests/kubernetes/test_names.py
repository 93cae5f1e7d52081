"""Names and labels are legal whatever they are made of."""

import re

from hypothesis import given
from hypothesis import strategies as st

from adapters.kubernetes import names

HOST_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


@given(st.text(max_size=100))
def test_any_text_becomes_a_legal_label(text: str) -> None:
    value = names.label_value(text)
    assert len(value) <= 63 and LABEL.fullmatch(value)
    assert names.label_value(value) == value


def test_a_legal_label_stays_and_long_ones_do_not_collide() -> None:
    assert names.label_value("train-1.2_x") == "train-1.2_x"
    assert names.label_value("a b") == "a_b-" + names.label_value("a b")[4:]
    assert names.label_value("x" * 70) != names.label_value("x" * 71)


@given(st.text(max_size=20), st.integers(1, 10**9), st.integers(1, 10**6), st.integers(0, 99_999))
def test_the_hosts_of_a_group_are_legal_for_any_instance(instance: str, job_id: int, attempt: int, index: int) -> None:
    host = names.pod_host(names.group_name(instance, job_id, attempt), index)
    assert HOST_NAME.fullmatch(host) and len(host) <= 63
