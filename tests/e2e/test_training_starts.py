"""How training programs of several nodes find each other: the two usual starts, with a stand-in for PyTorch, whose
wheels are too large for a test. It does what torch.distributed does at its start: one process listens at MASTER_ADDR,
all others connect to it, and a sum over all ranks comes back.
"""

from tests.e2e.harness import Bridge

TRAIN = """
import os, socket, sys

def sum_of_ranks(rank, world, address):
    if rank == 0:
        with socket.create_server(("", address[1])) as server:
            others = [server.accept()[0] for _ in range(world - 1)]
        total = sum(int(other.recv(16)) for other in others)
        for other in others:
            other.sendall(b"%d" % total)
        return total
    while True:
        try:
            with socket.create_connection(address, timeout=20) as first:
                first.sendall(b"%d" % rank)
                return int(first.recv(16))
        except ConnectionRefusedError:
            pass  # the first one does not listen yet

names = sys.argv[1:] or ["SLURM_PROCID", "SLURM_NTASKS"]
rank, world = (int(os.environ[name]) for name in names)
total = sum_of_ranks(rank, world, (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])))
print("rank", rank, "of", world, "local", os.environ.get("LOCAL_RANK", os.environ["SLURM_LOCALID"]), "sum", total)
"""

LAUNCHER = """
import os, subprocess, sys

per_node, nodes = int(sys.argv[1]), int(os.environ["SLURM_NNODES"])
address, _, port = sys.argv[2].rpartition(":")
first = int(os.environ["SLURM_NODEID"]) * per_node
common = {**os.environ, "MASTER_ADDR": address, "MASTER_PORT": port, "WORLD_SIZE": str(per_node * nodes)}
workers = [
    subprocess.Popen([*sys.argv[3:]], env={**common, "RANK": str(first + k), "LOCAL_RANK": str(k)})
    for k in range(per_node)
]
sys.exit(max(worker.wait() for worker in workers))
"""

HEAD = """#!/bin/bash
nodes=($(scontrol show hostnames $SLURM_JOB_NODELIST))
head_node_ip=$(srun --nodes=1 --ntasks=1 -w "${nodes[0]}" hostname --ip-address | cut -d' ' -f1)
port=$(python3 -c 'import socket; s = socket.create_server(("", 0)); print(s.getsockname()[1])')
"""


def test_srun_python_by_slurms_variables(each_bridge: Bridge) -> None:
    (each_bridge.work / "train.py").write_text(TRAIN)
    script = HEAD + "export MASTER_ADDR=$head_node_ip MASTER_PORT=$port\nsrun python3 train.py\n"
    job = each_bridge.sbatch("-N2", "--ntasks-per-node=2", script=script)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0", each_bridge.output(job)
    assert sorted(each_bridge.output(job).splitlines()) == [
        "rank 0 of 4 local 0 sum 6",
        "rank 1 of 4 local 1 sum 6",
        "rank 2 of 4 local 0 sum 6",
        "rank 3 of 4 local 1 sum 6",
    ]


def test_a_launcher_a_node_as_torchrun(each_bridge: Bridge) -> None:
    (each_bridge.work / "train.py").write_text(TRAIN)
    (each_bridge.work / "launch.py").write_text(LAUNCHER)
    script = (
        HEAD + "srun --ntasks-per-node=1 python3 launch.py 2 $head_node_ip:$port python3 train.py RANK WORLD_SIZE\n"
    )
    job = each_bridge.sbatch("-N2", "--ntasks-per-node=1", "-c2", script=script)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0", each_bridge.output(job)
    assert sorted(each_bridge.output(job).splitlines()) == [
        "rank 0 of 4 local 0 sum 6",
        "rank 1 of 4 local 1 sum 6",
        "rank 2 of 4 local 0 sum 6",
        "rank 3 of 4 local 1 sum 6",
    ]
