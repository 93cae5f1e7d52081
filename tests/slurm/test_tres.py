"""Trackable resources, as scontrol shows them of recorded jobs."""

import pytest

from adapters.slurm import sizes
from bridge.core.job import Share
from tests.builders import a_job
from tests.slurm import recorded

CASES = {
    case["id"]: case
    for case in recorded.cases("sizes", "gres", "memory", "environment", "files", "other", "more")
    if isinstance(case["expect"].get("job"), dict) and case["expect"]["job"].get("ReqTRES", "(null)") != "(null)"
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_req_tres(case):
    shown = case["expect"]["job"]
    component = recorded.request_of(case).component
    asked = sizes.asked_for(component, recorded.SITE.partition(shown["Partition"]), (8, 16000), held=False)
    assert sizes.tres_text(asked.tres) == shown["ReqTRES"]


def test_alloc_tres_adds_up_the_shares_of_all_nodes():
    shares = (
        Share("n1", 2, 512, 2, (("gpu", "a100", (0, 1)), ("fpga", None, (0,)))),
        Share("n2", 1, 256, 1, (("gpu", "a100", (3,)),)),
    )
    assert (
        sizes.tres_text(sizes.allocated(a_job(nodes=shares)))
        == "cpu=3,mem=768M,node=2,billing=3,gres/gpu=3,gres/fpga=1"
    )


def test_a_job_that_never_started_holds_nothing():
    assert sizes.tres_text(sizes.allocated(a_job())) == ""
