"""A group as its pods see it: nodes are called as the pods' hosts are, devices are counted from 0.

A job in pods cannot resolve the names of the cluster's nodes, and of a node's devices it sees only its own. What
names nodes and devices in the environment is written anew; everything else stays.
"""

from collections.abc import Sequence
from dataclasses import replace

from adapters.slurm import hostlist
from bridge.core.group import Group
from bridge.core.job import Share

_DEVICES = ("SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")


def seen_from_pods(group: Group, hosts: Sequence[str]) -> Group:
    """`hosts`: the pods' host names, one a node of the group."""
    shares = tuple(_share(share, host) for share, host in zip(group.nodes, hosts, strict=True))
    node_list = hostlist.compress(list(hosts))
    environment = {
        **group.batch.environment,
        "SLURM_JOB_NODELIST": node_list,
        "SLURM_NODELIST": node_list,
        "SLURM_TOPOLOGY_ADDR": hosts[0],
    }
    return replace(
        group,
        nodes=shares,
        node_environment=tuple(map(_of_node, group.node_environment, shares)),
        batch=replace(group.batch, environment=environment),
    )


def _share(share: Share, host: str) -> Share:
    gres = tuple((name, kind, tuple(range(len(devices)))) for name, kind, devices in share.gres)
    return replace(share, node=host, gres=gres)


def _of_node(environment: dict[str, str], share: Share) -> dict[str, str]:
    gpus = sum(len(devices) for name, _, devices in share.gres if name == "gpu")
    seen = {**environment, "SLURMD_NODENAME": share.node, "HOSTNAME": share.node}
    for name in _DEVICES:
        if name in seen:
            seen[name] = ",".join(map(str, range(gpus)))
    return seen
