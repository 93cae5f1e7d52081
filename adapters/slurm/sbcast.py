"""sbcast: its command line to an order. Pure; `bridge.slurmcli.sbcast` joins it, the client copies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.slurm import selectors
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.command_line import BadCommandLine, Grammar, Option
from adapters.slurm.selectors import Selected

_GRAMMAR = Grammar(
    [
        Option("compress", "C", "optional"),
        Option("exclude", "", "required"),
        Option("fanout", "F", "required"),
        Option("force", "f"),
        Option("help"),
        Option("jobid", "j", "required"),
        Option("preserve", "p"),
        Option("send-libs", "", "optional"),
        Option("size", "s", "required"),
        Option("timeout", "t", "required"),
        Option("treewidth", "", "required"),
        Option("usage"),
        Option("verbose", "v"),
        Option("version", "V"),
    ]
)

USAGE = "Usage: sbcast [--exclude] [-CfFjpvV] [--send-libs] SOURCE DEST\n"

HELP = """\
Usage: sbcast [OPTIONS] SOURCE DEST
  Copies a file to the nodes of a job.
  -f, --force      replace what is there;  -p, --preserve: keep modes and times
  -j, --jobid=ID   the job; default: the one that the command runs in
  -C, -F, -s, -t, --treewidth, --exclude: taken, and of no consequence where nodes share this machine
  --help, --usage, -v, -V, --version
"""


@dataclass(frozen=True, slots=True)
class Order:
    source: str
    target: str
    """May be relative to the job's working directory."""
    job: Selected | None
    job_text: str
    force: bool = False
    preserve: bool = False


def read(argv: Sequence[str], environ: Mapping[str, str]) -> Order | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("sbcast", str(bad))
    if line.has("version"):
        return Answer(ANNOUNCEMENT)
    for name, text in (("help", HELP), ("usage", USAGE)):
        if line.has(name):
            return Answer(text)
    if len(line.operands) != 2:
        return Answer(
            stderr=f'Need two file names, have {len(line.operands)} names\nTry "sbcast --help" for more information\n',
            exit_code=1,
        )
    if line.has("send-libs") and (line.last("send-libs") or "yes").lower() in ("yes", "y", "true", "1"):
        return _error("shared objects are not copied along here; leave --send-libs out")
    source, target = line.operands
    text = line.last("jobid") or environ.get("SBCAST_JOBID") or environ.get("SLURM_JOB_ID") or ""
    if not text:
        return _error("Need a job id to run this command.  Run from within a Slurm job or use the --jobid option.")
    if target.endswith("/"):
        return _error("Target filename cannot be a directory.")
    return Order(
        source=source,
        target=target,
        job=selectors.parse(text.partition("+")[0]),
        job_text=text,
        force=line.has("force") or environ.get("SBCAST_FORCE", "").lower() in ("yes", "y", "true", "1"),
        preserve=line.has("preserve") or "SBCAST_PRESERVE" in environ,
    )


def _error(text: str) -> Answer:
    return Answer(stderr=f"sbcast: error: {text}\n", exit_code=1)
