"""#PBS and #BSUB lines, taken over as sbatch 25.11 takes them."""

import pytest

from bridge.core.request import Gres
from tests.slurm.calls import parsed, refused


def of_script(*lines: str):
    return parsed(script="\n".join(["#!/bin/sh", *lines, "echo", ""]))


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("#PBS -l nodes=2:ppn=4", {"nodes_min": 2, "tasks": 8}),
        ("#PBS -l nodes=n1+n2", {"node_list": ("n1", "n2"), "nodes_min": 2}),
        ("#PBS -l select=2:ncpus=4:mpiprocs=2", {"nodes_min": 2, "cpus_per_node_min": 4, "tasks_per_node": 2}),
        ("#PBS -l select=1:mem=2gb", {"memory_per_node_mib": 2048}),
        ("#PBS -l mem=4gb", {"memory_per_node_mib": 4096}),
        ("#PBS -l mem=100", {"memory_per_node_mib": 100}),
        ("#PBS -l mem=1048576b", {"memory_per_node_mib": 1}),
        ("#PBS -l ncpus=3", {"cpus_per_node_min": 3}),
        ("#PBS -l file=2gb", {"temporary_disk_mib": 2048}),
        ("#PBS -l nodes=1:gpus=2", {"gres_per_node": (Gres("gpu", None, 2),)}),
        ("#PBS -q short", {"partitions": ("short",)}),
        ("#BSUB -n 4,8", {"tasks": 8}),
        ("#BSUB -M 4000", {"memory_per_cpu_mib": 4}),
        ("#BSUB -M 4GB", {"memory_per_cpu_mib": 4096}),
        ("#BSUB -m n1", {"node_list": ("n1",)}),
        ("#BSUB -x", {"exclusive": "node"}),
    ],
)
def test_sizes(line, fields):
    component = of_script(line).request.component
    assert {name: getattr(component, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("#PBS -Nglued -hV", {"name": "glued", "hold": True, "export": "ALL"}),
        ("#PBS -l walltime=1:00:00", {"time_limit_seconds": 3600}),
        ("#PBS -m abe -M me@x", {"mail_types": ("BEGIN", "END", "FAIL"), "mail_user": "me@x"}),
        ("#PBS -r n", {"requeue": False}),
        ("#PBS -p 5", {"nice": 5}),
        ("#PBS -v A=1,B=2", {"export": "ALL,A=1,B=2"}),
        ("#PBS -d sub", {"working_directory": "/home/alice/sub"}),
        ("#BSUB -J name[1-3]%2", {"name": "name[1-3]%2", "array": None}),
        ("#BSUB -W 1:30", {"time_limit_seconds": 120}),
        ("#BSUB -cwd sub", {"working_directory": "/home/alice/sub"}),
    ],
)
def test_wishes(line, fields):
    request = of_script(line).request
    assert {name: getattr(request, name) for name in fields} == fields


def test_arrays_and_dependencies():
    request = of_script("#PBS -J 0-3", "#PBS -W depend=afterany:1").request
    assert (str(request.array.indices), request.dependency.clauses[0].job_id) == ("0-3", 1)


def test_they_override_sbatch_lines_and_lose_to_the_command_line():
    lines = ("#PBS -N pbs", "#SBATCH -J sbatch")
    assert of_script(*lines).request.name == "pbs"
    assert parsed("-J", "cmd", script="#!/bin/sh\n#PBS -N pbs\n").request.name == "cmd"


def test_one_kind_only():
    found = of_script("#PBS -N pbs", "#BSUB -J bsub")
    assert found.request.name == "bsub"
    assert [(entry.text, entry.source) for entry in found.report.entries] == [
        ("--job-name=bsub", "job.sh:3"),
        ("#PBS -N pbs", "job.sh:2"),
    ]


@pytest.mark.parametrize("line", ["#PBS -j oe", "#PBS -l pmem=2gb", "#PBS -S /bin/sh", "#PBS -l place=excl"])
def test_what_does_nothing_is_told(line):
    (entry,) = of_script(line).report.entries
    assert (entry.text, entry.source, entry.treatment, entry.changes_results) == (line, "job.sh:2", "refused", True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("#PBS -Z foo", "sbatch: invalid option -- 'Z'\nsbatch: error: Unrecognized command line parameter ?\n"),
        (
            "#PBS -N",
            "sbatch: option requires an argument -- 'N'\nsbatch: error: Unrecognized command line parameter ?\n",
        ),
        ("#PBS foo", "sbatch: error: Invalid argument: foo\n"),
        (
            '#BSUB -R "span[ptile=2]"',
            "sbatch: invalid option -- 'R'\nsbatch: error: Unrecognized command line parameter ?\n",
        ),
        ("#BSUB -n x", 'sbatch: error: Invalid numeric value "x" for --ntasks.\n'),
    ],
)
def test_what_sbatch_refuses(line, said):
    assert refused(script=f"#!/bin/sh\n{line}\n") == (1, said)


@pytest.mark.parametrize(
    "how", [{"argv": ["--ignore-pbs"]}, {"environ": {"SBATCH_IGNORE_PBS": ""}}, {"line": "#SBATCH --ignore-pbs\n"}]
)
def test_they_can_be_turned_off(how):
    script = f"#!/bin/sh\n{how.get('line', '')}#PBS -N pbs -Z\n"
    found = parsed(*how.get("argv", []), script=script, environ=how.get("environ"))
    assert found.request.name == "job.sh"
