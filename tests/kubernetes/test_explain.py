"""What is told to whoever sets up a cluster."""

import dataclasses

import pytest

from adapters.kubernetes import explain
from adapters.kubernetes.capabilities import Capabilities
from adapters.kubernetes.profile import Volume
from tests.kubernetes.makers import a_profile


def test_every_ability_has_its_line() -> None:
    lines = list(explain.capabilities(Capabilities("v1.37.2", pod_group="yes", resize="no")))
    assert lines[:2] == [
        "Kubernetes v1.37.2",
        "  pod groups      yes      the scheduler places all pods of a job or none",
    ]
    assert lines[4] == "  resize of pods  no       a running pod keeps what it was given"
    assert len(lines) == len(dataclasses.fields(Capabilities))


@pytest.mark.parametrize(
    ("fields", "level", "why"),
    [
        ({}, "restricted", []),
        ({"volumes": (Volume("/home", claim="home"),)}, "restricted", []),
        ({"volumes": (Volume("/h", nfs=("s", "/h")),)}, "baseline", ["/h is mounted by NFS (a claim would pass)"]),
        ({"allow_root": True}, "baseline", ["jobs of root may run"]),
        (
            {"volumes": (Volume("/h", host_path="/h"),), "host_network": True},
            "privileged",
            ["/h is a folder of the node", "pods use the host's network"],
        ),
    ],
)
def test_a_partition_is_told_its_pod_security_and_what_lowers_it(fields: dict, level: str, why: list[str]) -> None:
    assert explain.security_level(a_profile(**fields)) == (level, why)


def test_a_partition_is_told_in_a_sentence() -> None:
    profile = a_profile(volumes=(Volume("/h", host_path="/h"),), bridge_image="bridge:1", queue="batch")
    assert explain.partition(profile, Capabilities(image_volume="yes")) == (
        "Partition main runs pods of registry.example/base:12 in namespace hpc, admitted by the queue batch; the agent "
        "comes as a volume from the bridge's image. They pass Pod Security privileged (/h is a folder of the node)."
    )
