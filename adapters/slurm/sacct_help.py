"""What sacct says about itself."""

from adapters.slurm import sacct_fields, squeue_help, states
from bridge.core.job import FINAL, JobState
from bridge.core.reasons import Reason

_HELP = """\
sacct [OPTIONS]
  -j, --jobs=IDS         these jobs, tasks (12_3) or steps (12.0, 12.batch)
  -u, --user=USERS       of these users;  -a, --allusers: of everybody
  -S, --starttime=TIME   from then;  -E, --endtime=TIME: until then. Nothing given: today
  -s, --state=STATES     in these states;  --name, -A, -r, -q, -g, -W, -N: names that must match
  -X, --allocations      jobs only, no steps;  --array: one row for each waiting task
  -o, --format=FIELDS    jobid,state%20,elapsed ...; -e lists them;  -b, --brief;  -l, --long
  -p, -P, --delimiter=X  fields with | between them;  -n, --noheader;  --units=KMGTP, --noconvert
  -B, --batch-script     the scripts of the jobs given by -j
  -h, --help, --usage, -e, --helpstate, --helpreason, -V, --version
"""

TEXTS = {
    "help": _HELP,
    "usage": "Usage: sacct [options]\n\tUse --help for help\n",
    "helpformat": squeue_help.columns_of_four(list(sacct_fields.WIDTHS), end=""),
    "helpstate": squeue_help.columns_of_four(
        [state.value for state in states.ORDER if state in FINAL | {JobState.PENDING, JobState.RUNNING}]
    ),
    "helpreason": squeue_help.columns_of_four([reason.value for reason in Reason]),
}
