"""What squeue says about itself."""

from collections.abc import Sequence

from adapters.slurm import states

USAGE = """\
Usage: squeue [-A account] [--clusters names] [-i seconds] [--job jobid]
              [-n name] [-o format] [--only-job-state] [-p partitions]
              [--qos qos] [--reservation reservation] [--sort fields] [--start]
              [--step step_id] [-t states] [-u user_name] [--usage]
              [-L licenses] [-w nodes] [--federation] [--local] [--sibling]
              [--expand-patterns] [--json=data_parser] [--yaml=data_parser]
              [--running-over=time] [--running-under=time] [-ahjlrsv]
"""

_HELP = """\
Usage: squeue [OPTIONS]
  Which jobs
    -j, --jobs=IDS         these jobs: 12, 12_3, 12_[1-5], several with commas
    -u, --user=USERS       of these users (names or uids);  --me: your own
    -t, --states=STATES    in these states; `all` shows finished ones too
    -n, --name=NAMES       of these names
    -p, --partition=NAMES  in these partitions
    -A, --account=NAMES    of these accounts;  -q, --qos=NAMES
    -w, --nodelist=NODES   that hold these nodes
    -L, --licenses=NAMES   that ask for these licences;  -R, --reservation=NAMES
  What is shown
    -o, --format=FORMAT    %[[.]width]letter ...; --helpformat lists the letters
    -O, --Format=FORMAT    name[:[.][width][suffix]],...; --helpFormat lists the names
    -l, --long             more columns
    -s, --steps            job steps instead of jobs
    -r, --array            one row for each task of an array
        --start            when waiting jobs will start
    -S, --sort=KEYS        letters of -o, with - in front for descending
    -h, --noheader         no titles
        --noconvert        memory in M always
        --json, --yaml     as data
    -i, --iterate=SECONDS  again and again
  --help, --usage, --helpformat, --helpFormat, --helpstate, -V, --version
"""

_LETTERS = "a F K B o k O I X E e x f G g i A W c m d j y N C D h P p Q q r R n v Y z s H S T t V J L l M U u w Z"

_NAMES_TEXT = (
    "Account AccrueTime admin_comment AllocNodes AllocSID ArrayJobId ArrayTaskId AssocId BatchFlag BatchHost "
    "BoardsPerNode BurstBuffer BurstBufferState Cluster ClusterFeature Command Comment Container ContainerId "
    "Contiguous Cores CoreSpec CPUsPerTask cpus-per-task cpus-per-tres CronJob Deadline DelayBoot Dependency "
    "DerivedEC EligibleTime EndTime ExcNodes exit_code Feature GroupId GroupName HetJobId HetJobIdSet "
    "HetJobOffset JobArrayId JobId LastSchedEval Licenses LicensesAlloc MaxCPUs MaxNodes mem-per-tres "
    "MCSLabel MinCPUs MinMemory MinTime MinTmpDisk Name Network Nice NodeList NTPerCore NTPerNode NTPerSocket "
    "NTPerBoard NumCPUs NumNodes NumTasks Origin OriginRaw OverSubscribe Partition PendingTime PreemptTime "
    "Prefer Priority PriorityLong Profile QOS Reason ReasonList Reboot ReqNodes ReqSwitch Requeue Reservation "
    "ResizeTime RestartCnt SchedNodes SCT SegmentSize SiblingsActive SiblingsActiveRaw SiblingsViable "
    "SiblingsViableRaw SLUID Sockets SPerBoard StartTime State StateCompact StdErr StdIn StdOut SubmitTime "
    "system_comment Threads TimeLeft TimeLimit TimeUsed tres-alloc tres-bind tres-freq tres-per-job "
    "tres-per-socket tres-per-task UserId UserName Wait4Switch WCKey WorkDir"
)
_NAMES = tuple(_NAMES_TEXT.split())


def letters_of_eight(letters: Sequence[str]) -> str:
    """Codes of -o in rows of eight, as the --helpformat texts have them."""
    rows = [letters[at : at + 8] for at in range(0, len(letters), 8)]
    return "".join("".join(f"%{letter:<5}" for letter in row) + "\n" for row in rows)


def columns_of_four(words: Sequence[str], *, end: str = " ") -> str:
    """Names in rows of four, as the --helpformat texts have them; those of sacct and sstat without the blank at the
    end of a row."""
    rows = [words[at : at + 4] for at in range(0, len(words), 4)]
    return "".join(" ".join(f"{word:<19}" for word in row) + end + "\n" for row in rows)


TEXTS = {
    "usage": USAGE,
    "help": _HELP,
    "helpformat": letters_of_eight(_LETTERS.split()),
    "helpFormat": columns_of_four(_NAMES),
    "helpstate": "".join(f"{name}\n" for name in states.QUEUE_NAMES),
}
