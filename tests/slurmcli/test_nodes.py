"""Nodes that operators drain, give up and take back."""

from bridge.slurmcli.wire import Reply
from tests.slurmcli.bridge import ROOT, Bridge
from tests.slurmcli.test_commands import ON_N1, failed


async def _update(bridge: Bridge, *words: str) -> Reply:
    return await bridge.run("scontrol", "update", "NodeName=n1", *words, caller=ROOT)


async def _look(bridge: Bridge) -> str:
    shown = await bridge.out("scontrol", "-o", "show", "node", "n1")
    state = next(word for word in shown.split() if word.startswith("State="))
    reason = shown.partition(" Reason=")[2].partition(" [")[0]
    words = await bridge.out("sinfo", "-h", "-n", "n1", "-p", "main", "-o", "%t %T")
    return f"{state.removeprefix('State=')} {words}{reason}"


async def test_a_node_that_is_drained_and_lost_is_both(bridge: Bridge):
    for words, shown in (
        (("State=DRAIN", "Reason=a"), "IDLE+DRAIN drain drained\na"),
        (("State=DOWN", "Reason=b"), "DOWN+DRAIN drain drained\nb"),
        (("Reason=c",), "DOWN+DRAIN drain drained\nc"),
        (("State=UNDRAIN",), "DOWN down down\nc"),
        (("State=FAIL", "Reason=d"), "DOWN+FAIL fail fail\nd"),
        (("State=RESUME", "Reason=e"), "IDLE idle idle\n"),
        (("Reason=f",), "IDLE idle idle\n"),
    ):
        assert await _update(bridge, *words) == Reply()
        assert await _look(bridge) == shown
    assert await _update(bridge, "State=RESUME") == failed("slurm_update error: Invalid node state transition\n")


async def test_a_node_with_jobs_is_draining_or_failing_and_not_called_idle(bridge: Bridge):
    await bridge.start(await bridge.submit(), ON_N1)
    for order, shown in (("DRAIN", "MIXED+DRAIN drng draining\na"), ("FAIL", "MIXED+FAIL failg failing\na")):
        assert await _update(bridge, f"State={order}", "Reason=a") == Reply()
        assert await _look(bridge) == shown
        assert await _update(bridge, "State=IDLE") == failed("slurm_update error: Invalid node state transition\n")


async def test_an_order_that_one_node_refuses_is_carried_out_on_the_others(bridge: Bridge):
    for names, said in (
        ("n1,n99", "slurm_update error: Invalid node name specified\n"),
        ("n[1-2]", None),
    ):
        update = ("scontrol", "update", f"NodeName={names}", "State=DRAIN", "Reason=x")
        assert await bridge.run(*update, caller=ROOT) == (failed(said) if said else Reply())
        assert (await _look(bridge)).startswith("IDLE+DRAIN")
    assert await bridge.run("scontrol", "update", "NodeName=n[1-3]", "State=RESUME", caller=ROOT) == failed(
        "slurm_update error: Invalid node state transition\n"
    )
    assert await bridge.out("sinfo", "-h", "-p", "main", "-o", "%t %N") == "idle n[1-3]\n"


async def test_states_that_nodes_here_cannot_have_are_refused(bridge: Bridge):
    for word in ("POWER_DOWN", "future", "alloc"):
        assert await _update(bridge, f"State={word}") == failed("slurm_update error: Invalid node state transition\n")
    assert await _update(bridge, "state=up") == failed(
        "Invalid input: state=up\nRequest aborted\n"
        "Valid states are: NoResp DRAIN FAIL FUTURE RESUME POWER_DOWN POWER_UP UNDRAIN\n"
        "Not all states are valid given a node's prior state\n"
    )
