"""srun's options inside a job: one table, and the reader of its command line and SLURM_* environment.

Every option of srun's manual page stands here with its class; what one does is decided in `step_request.py` and
`step.py`.
`acted on`: obeyed. `recorded`: accepted, changes nothing within an allocation (told with -v). `refused`: would
have to change the job's result or needs what is not built; said in a sentence, and nothing is started.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

ACT, RECORD, REFUSE = "acted on", "recorded", "refused"
NONE, REQUIRED, OPTIONAL = "none", "required", "optional"


@dataclass(frozen=True)
class Option:
    name: str
    short: str = ""
    argument: str = REQUIRED
    variables: Tuple[str, ...] = ()
    """Environment variables that stand for it, the strongest last."""
    does: str = RECORD
    because: str = ""


_IN_ALLOCATION = "the allocation is already there"

TABLE: Tuple[Option, ...] = (
    Option("account", "A", because=_IN_ALLOCATION),
    Option("acctg-freq", because="usage is taken from the kernel at each task's end"),
    Option("bb", because="there are no burst buffers"),
    Option("bbf", because="there are no burst buffers"),
    Option("bcast", argument=OPTIONAL, does=REFUSE, because="programs are not broadcast yet; put it on a shared path"),
    Option("bcast-exclude", because="programs are not broadcast"),
    Option("begin", "b", because=_IN_ALLOCATION),
    Option("cluster-constraint", because=_IN_ALLOCATION),
    Option("clusters", "M", because=_IN_ALLOCATION),
    Option("comment", because="it is kept nowhere for a step"),
    Option("compress", argument=OPTIONAL, because="programs are not broadcast"),
    Option("consolidate-segments", argument=NONE, because=_IN_ALLOCATION),
    Option("constraint", "C", because=_IN_ALLOCATION),
    Option("container", does=REFUSE, because="steps in containers are not built"),
    Option("container-id", does=REFUSE, because="steps in containers are not built"),
    Option("contiguous", argument=NONE, because=_IN_ALLOCATION),
    Option("core-spec", "S", because=_IN_ALLOCATION),
    Option("cores-per-socket", because="cores are not chosen within a node"),
    Option("cpu-bind", variables=("SLURM_CPU_BIND",), because="tasks are not bound to CPUs yet"),
    Option("cpu-freq", because="clock rates are the machine's business"),
    Option("cpus-per-gpu", because="GPUs are counted for the job, not for a step"),
    Option("cpus-per-task", "c", variables=("SRUN_CPUS_PER_TASK", "SLURM_CPUS_PER_TASK"), does=ACT),
    Option("deadline", because=_IN_ALLOCATION),
    Option("delay-boot", because=_IN_ALLOCATION),
    Option("dependency", "d", because=_IN_ALLOCATION),
    Option("disable-status", "X", NONE, ("SLURM_DISABLE_STATUS",), ACT),
    Option("distribution", "m", variables=("SLURM_DISTRIBUTION",), does=ACT),
    Option("epilog", variables=("SLURM_EPILOG",), does=ACT),
    Option("error", "e", variables=("SLURM_STDERRMODE",), does=ACT),
    Option("exact", argument=NONE, variables=("SLURM_EXACT",), does=ACT),
    Option("exclude", "x", does=ACT),
    Option("exclusive", argument=OPTIONAL, variables=("SLURM_EXCLUSIVE",), does=ACT),
    Option("export", variables=("SLURM_EXPORT_ENV",), does=ACT),
    Option("extra-node-info", "B", because="cores are not chosen within a node"),
    Option("external-launcher", argument=NONE, does=ACT),
    Option("gpu-bind", because="GPUs are given to the job as a whole"),
    Option("gpu-freq", because="clock rates are the machine's business"),
    Option("gpus", "G", because="GPUs are given to the job as a whole"),
    Option("gpus-per-node", because="GPUs are given to the job as a whole"),
    Option("gpus-per-socket", because="GPUs are given to the job as a whole"),
    Option("gpus-per-task", because="GPUs are given to the job as a whole"),
    Option("gres", variables=("SLURM_STEP_GRES",), because="devices are given to the job as a whole"),
    Option("gres-flags", because="devices are given to the job as a whole"),
    Option("help", "h", NONE, does=ACT),
    Option("het-group", does=REFUSE, because="heterogeneous jobs are not built"),
    Option("hint", variables=("SLURM_HINT",), because="tasks are not bound to CPUs yet"),
    Option("hold", "H", NONE, because=_IN_ALLOCATION),
    Option("chdir", "D", variables=("SLURM_WORKING_DIR",), does=ACT),
    Option("immediate", "I", OPTIONAL, ("SLURM_IMMEDIATE",), ACT),
    Option("input", "i", variables=("SLURM_STDINMODE",), does=ACT),
    Option("job-name", "J", does=ACT),
    Option("jobid", does=ACT),
    Option("kill-on-bad-exit", "K", OPTIONAL, ("SLURM_KILL_BAD_EXIT",), ACT),
    Option("label", "l", NONE, ("SLURM_LABELIO",), ACT),
    Option("licenses", "L", because=_IN_ALLOCATION),
    Option("mail-type", because=_IN_ALLOCATION),
    Option("mail-user", because=_IN_ALLOCATION),
    Option("mcs-label", because=_IN_ALLOCATION),
    Option("mem", variables=("SLURM_MEM_PER_NODE",), does=ACT),
    Option("mem-bind", because="memory is not bound"),
    Option("mem-per-cpu", variables=("SLURM_MEM_PER_CPU",), does=ACT),
    Option("mem-per-gpu", because="memory is kept for the job as a whole"),
    Option("mincpus", because=_IN_ALLOCATION),
    Option("mpi", variables=("SLURM_MPI_TYPE",), does=ACT),
    Option("multi-prog", argument=NONE, does=ACT),
    Option("network", because="there is one network"),
    Option("nice", argument=OPTIONAL, because=_IN_ALLOCATION),
    Option("no-allocate", "Z", NONE, does=REFUSE, because="it is for administrators of Slurm itself"),
    Option("no-kill", "k", OPTIONAL, ("SLURM_NO_KILL",), ACT),
    Option("nodelist", "w", does=ACT),
    Option("nodes", "N", variables=("SLURM_JOB_NUM_NODES", "SLURM_NNODES"), does=ACT),
    Option("ntasks", "n", variables=("SLURM_NPROCS", "SLURM_NTASKS"), does=ACT),
    Option("ntasks-per-core", because="cores are not chosen within a node"),
    Option("ntasks-per-gpu", because="GPUs are given to the job as a whole"),
    Option("ntasks-per-node", variables=("SLURM_NTASKS_PER_NODE",), does=ACT),
    Option("ntasks-per-socket", because="cores are not chosen within a node"),
    Option("ntasks-per-tres", because="GPUs are given to the job as a whole"),
    Option("oom-kill-step", argument=OPTIONAL, because="memory is kept for the job as a whole"),
    Option("open-mode", variables=("SLURM_OPEN_MODE",), does=ACT),
    Option("output", "o", variables=("SLURM_STDOUTMODE",), does=ACT),
    Option("overcommit", "O", NONE, ("SLURM_OVERCOMMIT",), ACT),
    Option("overlap", argument=NONE, variables=("SLURM_OVERLAP",), does=ACT),
    Option("oversubscribe", "s", NONE, because=_IN_ALLOCATION),
    Option("partition", "p", because=_IN_ALLOCATION),
    Option("power", because=_IN_ALLOCATION),
    Option("prefer", because=_IN_ALLOCATION),
    Option("preserve-env", "E", NONE, ("SLURM_PRESERVE_ENV",), ACT),
    Option("priority", because=_IN_ALLOCATION),
    Option("profile", because="nothing is profiled"),
    Option("prolog", variables=("SLURM_PROLOG",), does=ACT),
    Option("propagate", argument=OPTIONAL, because="the limits of the batch script are passed on"),
    Option("pty", argument=OPTIONAL, does=REFUSE, because="terminals for tasks are not built yet"),
    Option("qos", "q", because=_IN_ALLOCATION),
    Option("quiet", "Q", NONE, does=ACT),
    Option("quit-on-interrupt", argument=NONE, does=ACT),
    Option("reboot", argument=NONE, because=_IN_ALLOCATION),
    Option("relative", "r", does=ACT),
    Option("reservation", because=_IN_ALLOCATION),
    Option("resv-ports", argument=OPTIONAL, because="ports are not reserved"),
    Option("segment", because=_IN_ALLOCATION),
    Option("send-libs", argument=OPTIONAL, because="programs are not broadcast"),
    Option("signal", because="a step is warned with its job"),
    Option("slurmd-debug", because="the step service writes no log for users"),
    Option("sockets-per-node", because="cores are not chosen within a node"),
    Option("spread-job", argument=NONE, because=_IN_ALLOCATION),
    Option("spread-segments", argument=NONE, because=_IN_ALLOCATION),
    Option("stepmgr", argument=NONE, because="steps are always managed within the job"),
    Option("switches", because=_IN_ALLOCATION),
    Option("task-epilog", variables=("SLURM_TASK_EPILOG",), does=ACT),
    Option("task-prolog", variables=("SLURM_TASK_PROLOG",), does=ACT),
    Option("thread-spec", because=_IN_ALLOCATION),
    Option("threads", "T", because="every node is asked at once"),
    Option("threads-per-core", because="cores are not chosen within a node"),
    Option("time", "t", variables=("SLURM_TIMELIMIT",), does=ACT),
    Option("time-min", because=_IN_ALLOCATION),
    Option("tmp", because=_IN_ALLOCATION),
    Option("treewidth", because="every node is asked at once"),
    Option("tres-bind", because="devices are given to the job as a whole"),
    Option("tres-per-task", variables=("SLURM_TRES_PER_TASK",), does=ACT),
    Option("unbuffered", "u", NONE, ("SLURM_UNBUFFEREDIO",), ACT),
    Option("usage", argument=NONE, does=ACT),
    Option("use-min-nodes", argument=NONE, because=_IN_ALLOCATION),
    Option("verbose", "v", NONE, ("SLURM_SRUN_VERBOSE",), ACT),
    Option("version", "V", NONE, does=ACT),
    Option("wait", "W", variables=("SLURM_WAIT",), does=ACT),
    Option("wait-for-children", argument=NONE, because="what a task leaves behind ends with the step"),
    Option("wckey", because=_IN_ALLOCATION),
    Option("whole", argument=NONE, does=ACT),
)
BY_NAME = {option.name: option for option in TABLE}
BY_SHORT = {option.short: option for option in TABLE if option.short}


class Unreadable(Exception):
    """The text is getopt's."""


@dataclass
class Given:
    """What was asked for: option → value ("" where it takes none)."""

    values: Dict[str, str] = field(default_factory=dict)
    from_environment: Dict[str, str] = field(default_factory=dict)
    verbose: int = 0
    program: List[str] = field(default_factory=list)

    def get(self, name: str) -> Optional[str]:
        """The command line's, else the environment's."""
        return self.values.get(name, self.from_environment.get(name))

    def has(self, name: str) -> bool:
        return self.get(name) is not None


def read(argv: Sequence[str], environment: Mapping[str, str]) -> Given:
    """Stops at the first word that is no option, as srun does. Raises Unreadable."""
    given = Given()
    for option in TABLE:
        for variable in option.variables:
            if variable in environment:
                given.from_environment[option.name] = environment[variable]
    words = list(argv)
    while words:
        word = words[0]
        if word == "--":
            words.pop(0)
            break
        if not word.startswith("-") or word == "-":
            break
        words.pop(0)
        if word.startswith("--"):
            _long(given, word[2:], words)
        else:
            _short(given, word[1:], words)
    given.program = words
    return given


def _long(given: Given, word: str, words: List[str]) -> None:
    name, equals, value = word.partition("=")
    option = BY_NAME.get(name)
    if option is None:
        found = [known for known in BY_NAME if known.startswith(name)]
        if not found:
            raise Unreadable(f"unrecognized option '--{name}'")
        if len(found) > 1:
            possible = " ".join(f"'--{known}'" for known in found)
            raise Unreadable(f"option '--{name}' is ambiguous; possibilities: {possible}")
        option = BY_NAME[found[0]]
    if option.argument == NONE:
        if equals:
            raise Unreadable(f"option '--{option.name}' doesn't allow an argument")
        _keep(given, option, "")
    elif equals or option.argument == OPTIONAL:
        _keep(given, option, value)
    elif words:
        _keep(given, option, words.pop(0))
    else:
        raise Unreadable(f"option '--{option.name}' requires an argument")


def _short(given: Given, letters: str, words: List[str]) -> None:
    while letters:
        option = BY_SHORT.get(letters[0])
        if option is None:
            raise Unreadable(f"invalid option -- '{letters[0]}'")
        rest = letters[1:]
        if option.argument == NONE:
            _keep(given, option, "")
            letters = rest
            continue
        if rest or option.argument == OPTIONAL:
            _keep(given, option, rest)
        elif words:
            _keep(given, option, words.pop(0))
        else:
            raise Unreadable(f"option requires an argument -- '{option.short}'")
        return


def _keep(given: Given, option: Option, value: str) -> None:
    given.values[option.name] = value
    if option.name == "verbose":
        given.verbose += 1
