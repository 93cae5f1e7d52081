import dataclasses

from adapters.slurm import slurm_conf
from tests.slurm import recorded

EXPECTED = """\
ClusterName=oracle
SlurmctldHost=host
KillWait=30
MaxArraySize=1001
MinJobAge=300
JobRequeue=1
EnforcePartLimits=NO
GresTypes=gpu
Licenses=matlab:4
NodeName=n1 CPUs=8 Sockets=2 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=16000 Feature=intel,ib
NodeName=n2 CPUs=8 Sockets=2 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=16000 Feature=intel
NodeName=n3 CPUs=8 Sockets=2 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=16000 Feature=amd,ib
NodeName=n4 CPUs=8 Sockets=2 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=16000 Feature=amd Gres=gpu:a100:4
PartitionName=main Nodes=n[1-3] Default=YES MaxTime=1-00:00:00 DefaultTime=00:30:00 DefMemPerCPU=256 State=UP
PartitionName=short Nodes=n[1-2] MaxTime=00:05:00 DefMemPerCPU=256 PriorityTier=2 State=UP
PartitionName=gpu Nodes=n4 MaxTime=UNLIMITED DefMemPerCPU=256 State=UP
PartitionName=all Nodes=n[1-4] MaxTime=UNLIMITED DefMemPerCPU=256 State=UP
PartitionName=closed Nodes=n3 MaxTime=UNLIMITED DefMemPerCPU=256 State=DOWN
PartitionName=small Nodes=n1 MaxTime=01:00:00 MaxNodes=1 DefMemPerCPU=256 State=UP
"""


def test_the_site_in_the_words_of_slurm_conf():
    head, _, body = slurm_conf.text(recorded.SITE, recorded.NODES, "host").partition("\n")
    assert head.startswith("# ")
    assert body == EXPECTED


def test_nodes_that_are_alike_share_a_line():
    nodes = [dataclasses.replace(recorded.NODES[0], name=f"n{number}") for number in range(1, 5)]
    lines = slurm_conf.text(recorded.SITE, nodes, "host").splitlines()
    assert [line.split()[0] for line in lines if line.startswith("NodeName=")] == ["NodeName=n[1-4]"]
