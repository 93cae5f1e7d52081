"""What `bridge translate` says."""

import json

from adapters.slurm import translate
from adapters.slurm.foreseen import Foreseen
from tests.slurm.calls import parsed

NO_GROUP = Foreseen(None, "no node is known")

SCRIPT = """#!/bin/sh
#SBATCH -J train -N2 --mem=8G
#SBATCH --output=$HOME/x -a 0-3%2
"""


def test_the_text():
    found = parsed("--gres=gpu:2", script=SCRIPT)
    assert translate.render(found.report, found.request, NO_GROUP) == (
        "Directives\n"
        "  job.sh:2      -J train          acted on  the job's name\n"
        "  job.sh:2      -N2               acted on  so many nodes, all at once\n"
        "  job.sh:2      --mem=8G          acted on  memory of each node\n"
        "  job.sh:3      --output=$HOME/x  acted on  standard output goes there\n"
        "  job.sh:3      -a 0-3%2          acted on  one task for each index\n"
        "  command line  --gres=gpu:2      acted on  these resources on each node\n"
        "Warnings\n"
        "  job.sh:3: --output=$HOME/x: sbatch expands no variables; write %u, %j, %x or a plain path\n"
        "Job\n"
        "  name               train\n"
        "  user               alice\n"
        "  uid                1001\n"
        "  gid                1001\n"
        "  program            command /home/alice/job.sh\n"
        "  array              indices 0-3, throttle 2, text 0-3%2\n"
        "  files              stdout $HOME/x\n"
        "  working_directory  /home/alice\n"
        "  rlimits            RLIMIT_NOFILE; 1024; 4096; RLIMIT_STACK; 8388608; -1\n"
        "  submit_line        sbatch --gres=gpu:2 job.sh\n"
        "  submit_directory   /home/alice\n"
        "  submit_host        login1\n"
        "Size\n"
        "  nodes_min            2\n"
        "  memory_per_node_mib  8192\n"
        "  gres_per_node        name gpu, count 2\n"
        "Group\n"
        "  none: no node is known\n"
    )


def test_control_characters_are_shown_as_such():
    found = parsed("-J", "a\x1b[2Jb\n")
    shown = translate.render(found.report, found.request, NO_GROUP)
    assert "\x1b" not in shown
    assert "a\\x1b[2Jb\\n" in shown


def test_the_json_holds_report_warnings_and_request():
    found = parsed(script=SCRIPT)
    told = json.loads(json.dumps(translate.to_json(found.report, found.request, NO_GROUP)))
    assert told["report"][0] == {
        "text": "-J train",
        "source": "job.sh:2",
        "treatment": "acted on",
        "sentence": "the job's name",
        "changes_results": False,
    }
    assert told["warnings"] == [
        "job.sh:3: --output=$HOME/x: sbatch expands no variables; write %u, %j, %x or a plain path"
    ]
    assert (told["group"], told["no_group_because"]) == (None, "no node is known")
    assert told["request"]["components"] == [{"nodes_min": 2, "memory_per_node_mib": 8192}]
