"""Jobs over several nodes, nodes chosen and drained, and what the listings say of them."""

from adapters.slurm import hostlist
from tests.e2e.harness import Bridge


def test_a_job_of_four_nodes_runs_its_script_once_and_ranks_everywhere(each_bridge: Bridge) -> None:
    script = """#!/bin/bash
echo "script on $SLURMD_NODENAME of $SLURM_JOB_NODELIST"
srun --ntasks-per-node=1 sh -c 'echo "$SLURM_NODEID $SLURMD_NODENAME $SLURM_NTASKS"' | sort
"""
    job = each_bridge.sbatch("-N4", script=script)
    assert each_bridge.ends_as(job) == "COMPLETED 0:0"
    nodes = each_bridge.called(job, "n1", "n2", "n3", "n4")
    assert each_bridge.output(job).splitlines() == [
        f"script on {nodes[0]} of {hostlist.compress(nodes)}",
        *(f"{k} {node} 4" for k, node in enumerate(nodes)),
    ]


def test_a_job_stays_off_the_nodes_that_it_excludes(each_bridge: Bridge) -> None:
    job = each_bridge.sbatch("-N2", "-x", "n[1,4]", "--wrap", "echo $SLURM_JOB_NODELIST")
    each_bridge.wait(job)
    assert each_bridge.output(job) == f"{hostlist.compress(each_bridge.called(job, 'n2', 'n3'))}\n"
    assert each_bridge.job(job)["NodeList"] == "n[2-3]"


def test_steps_of_a_group_fail_with_their_node_and_task(each_bridge: Bridge) -> None:
    script = '#!/bin/bash\nsrun sh -c \'[ "$SLURM_PROCID" != 1 ] || exit 3\'\necho "left with $?"\n'
    job = each_bridge.sbatch("-N2", "-n2", "-w", "n[2-3]", script=script)
    each_bridge.wait(job)
    second = each_bridge.called(job, "n2", "n3")[1]
    assert each_bridge.output(job) == f"srun: error: {second}: task 1: Exited with exit code 3\nleft with 3\n"


def test_a_drained_node_takes_no_new_work(each_bridge: Bridge) -> None:
    gate = each_bridge.gate()
    old = each_bridge.sbatch("-w", "n3", script=f"#!/bin/bash\n{gate.wait}\n")
    each_bridge.runs(old)
    each_bridge.ok("scontrol", "update", "NodeName=n3", "State=DRAIN", "Reason=fans", as_user=each_bridge.owner)
    try:
        new = each_bridge.sbatch("-w", "n3", script="#!/bin/bash\ntrue\n")
        assert each_bridge.state(new) == "PENDING"
        assert each_bridge.ok("sinfo", "-h", "-n", "n3", "-p", "main", "-o", "%t") == "drng\n"
        assert "fans" in each_bridge.ok("sinfo", "-R")
        gate.open()
        assert each_bridge.ends_as(old) == "COMPLETED 0:0"
        each_bridge.until(lambda: each_bridge.ok("sinfo", "-h", "-n", "n3", "-p", "main", "-o", "%t") == "drain\n")
        each_bridge.until(lambda: each_bridge.job(new)["Reason"].startswith("ReqNodeNotAvail"))
    finally:
        each_bridge.ok("scontrol", "update", "NodeName=n3", "State=RESUME", as_user=each_bridge.owner)
    assert each_bridge.ends_as(new) == "COMPLETED 0:0"


def test_sinfo_and_squeue_show_what_is_taken(each_bridge: Bridge) -> None:
    gate = each_bridge.gate()
    job = each_bridge.sbatch("-N1", "-n2", "-w", "n2", "-J", "shown", script=f"#!/bin/bash\n{gate.wait}\n")
    each_bridge.runs(job)
    assert each_bridge.ok("squeue", "-h", "-j", str(job), "-o", "%j %t %D %C %R") == "shown R 1 2 n2\n"
    assert each_bridge.ok("sinfo", "-h", "-n", "n2", "-p", "main", "-o", "%t %C") == "mix 2/2/0/4\n"
    assert "AllocTRES=cpu=2,mem=512M" in each_bridge.ok("scontrol", "show", "node", "n2")
    gate.open()
    each_bridge.wait(job)


def test_gpus_are_given_to_one_job_at_a_time(each_bridge: Bridge) -> None:
    gate = each_bridge.gate()
    script = f'#!/bin/bash\necho "$CUDA_VISIBLE_DEVICES"\n{gate.wait}\n'
    jobs = [each_bridge.sbatch("-p", "gpu", "--gres=gpu:2", "-n1", script=script) for _ in range(2)]
    third = each_bridge.sbatch("-p", "gpu", "--gpus=1", script="#!/bin/bash\ntrue\n")
    for job in jobs:
        each_bridge.runs(job)
    each_bridge.waits_because(third, "Resources")
    gate.open(2)
    for job in [*jobs, third]:
        each_bridge.wait(job)
    given = [device for job in jobs for device in each_bridge.output(job).strip().split(",")]
    assert sorted(given) == (["0", "0", "1", "1"] if each_bridge.devices_are_private else ["0", "1", "2", "3"])
