"""Orders of operators to nodes, as slurmctld 25.11 carried them out."""

import pytest

from bridge.core.nodes import NodeState, Order, ordered


@pytest.mark.parametrize(
    ("state", "order", "after"),
    [
        ("UP", "DRAIN", "DRAIN"),
        ("UP", "FAIL", "FAIL"),
        ("UP", "DOWN", "DOWN"),
        ("UP", "RESUME", None),
        ("UP", "UNDRAIN", "UP"),
        ("UP", "IDLE", "UP"),
        ("UP", "UP", "UP"),
        ("DRAIN", "DRAIN", "DRAIN"),
        ("DRAIN", "FAIL", "FAIL"),
        ("FAIL", "DRAIN", "DRAIN"),
        ("DRAIN", "DOWN", "DOWN+DRAIN"),
        ("FAIL", "DOWN", "DOWN+FAIL"),
        ("DRAIN", "RESUME", "UP"),
        ("DRAIN", "UNDRAIN", "UP"),
        ("FAIL", "UNDRAIN", "FAIL"),
        ("DRAIN", "IDLE", "UP"),
        ("DOWN", "DRAIN", "DOWN+DRAIN"),
        ("DOWN", "FAIL", "DOWN+FAIL"),
        ("DOWN", "DOWN", "DOWN"),
        ("DOWN", "RESUME", "UP"),
        ("DOWN", "UNDRAIN", "DOWN"),
        ("DOWN", "IDLE", "UP"),
        ("DOWN+DRAIN", "UNDRAIN", "DOWN"),
        ("DOWN+DRAIN", "DOWN", "DOWN+DRAIN"),
        ("DOWN+DRAIN", "RESUME", "UP"),
        ("DOWN+FAIL", "UNDRAIN", "DOWN+FAIL"),
        ("DOWN+FAIL", "RESUME", "UP"),
        ("DOWN+DRAIN", "REASON", "DOWN+DRAIN"),
    ],
)
def test_what_an_order_makes_of_a_node(state: str, order: Order, after: str | None):
    assert ordered(NodeState(state), order) == after


@pytest.mark.parametrize(
    ("state", "after"), [("UP", None), ("DRAIN", None), ("FAIL", None), ("DOWN", "UP"), ("DOWN+DRAIN", "UP")]
)
def test_a_busy_node_is_not_called_idle_unless_it_is_lost(state: str, after: str | None):
    assert ordered(NodeState(state), "IDLE", is_busy=True) == after
