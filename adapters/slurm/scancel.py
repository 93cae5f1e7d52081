"""scancel: its command line to an order, and the texts of what came of it. Pure; `bridge.slurmcli.scancel` joins it."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.slurm import errors, hostlist, selectors, states, values
from adapters.slurm.answer import ANNOUNCEMENT, Answer, getopt_refusal
from adapters.slurm.command_line import BadCommandLine, Grammar, Option
from adapters.slurm.selectors import Selected
from bridge.core.job import Job, JobState

_GRAMMAR = Grammar(
    [
        Option("account", "A", "required"),
        Option("admin-comment", "", "required"),
        Option("batch", "b"),
        Option("clusters", "M", "required", ("cluster",)),
        Option("cron", "c"),
        Option("ctld"),
        Option("full", "f"),
        Option("help"),
        Option("hurry", "H"),
        Option("interactive", "i"),
        Option("jobname", "n", "required", ("name",)),
        Option("me"),
        Option("nodelist", "w", "required"),
        Option("partition", "p", "required"),
        Option("qos", "q", "required"),
        Option("quiet", "Q"),
        Option("reservation", "R", "required"),
        Option("sibling", "", "required"),
        Option("signal", "s", "required"),
        Option("state", "t", "required", ("states",)),
        Option("usage"),
        Option("user", "u", "required"),
        Option("verbose", "v"),
        Option("version", "V"),
        Option("wckey", "", "required"),
    ]
)

USAGE = """\
Usage: scancel [-A account] [--batch] [--ctld] [--full] [--interactive] [-n job_name]
               [-p partition] [-Q] [-q qos] [-R reservation] [-s signal | integer]
               [-t PENDING | RUNNING | SUSPENDED] [--usage] [-u user_name]
               [--hurry] [-V] [-v] [-w hosts...] [--wckey=wckey]
               [job_id[_array_id][.step_id]]
"""

HELP = """\
Usage: scancel [OPTIONS] [IDS]
  Ids: 12, 12_3, 12_[1-5]. Filters narrow them down, or choose by themselves:
    -u, --user=NAME        jobs of this user;  --me: your own
    -n, --name=NAME        of this name;  -p, --partition=NAME;  -A, --account=NAME;  -q, --qos=NAME
    -t, --state=STATE      PENDING, RUNNING or SUSPENDED
    -w, --nodelist=NODES   on these nodes;  -R, --reservation=NAME;  --wckey=KEY
  What is done (nothing given: the jobs are ended)
    -s, --signal=SIGNAL    send a signal to the job's steps
    -b, --batch            to the batch shell only;  -f, --full: to shell and steps
    -i, --interactive      ask before each job
    -v, --verbose; -Q, --quiet; --help, --usage, -V, --version
"""


@dataclass(frozen=True, slots=True)
class Order:
    ids: tuple[Selected, ...] = ()
    signal_number: int | None = None
    """None: end the job."""
    batch: bool = False
    full: bool = False
    interactive: bool = False
    verbose: bool = False
    quiet: bool = False
    uid: int | None = None
    name: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    reservation: str | None = None
    wckey: str | None = None
    states: frozenset[JobState] | None = None
    nodes: tuple[str, ...] | None = None
    clusters: str | None = None
    """-M, as written."""
    user: str | None = None
    """-u, as written; of --me the number."""

    @property
    def ends_jobs(self) -> bool:
        """KILL to the whole job is the same as ending it."""
        if self.batch:
            return False
        return self.signal_number is None or self.signal_number == signal.SIGKILL

    @property
    def filters(self) -> bool:
        return any(
            value is not None
            for value in (
                self.uid,
                self.name,
                self.partition,
                self.account,
                self.qos,
                self.reservation,
                self.wckey,
                self.states,
                self.nodes,
            )
        )


def read(
    argv: Sequence[str], environ: Mapping[str, str], uid: int, uid_of: Callable[[str], int | None]
) -> Order | Answer:
    try:
        line = _GRAMMAR.read(argv)
    except BadCommandLine as bad:
        return getopt_refusal("scancel", str(bad))
    if line.has("version"):
        return Answer(ANNOUNCEMENT)
    if line.has("help") or line.has("usage"):
        return Answer(HELP if line.has("help") else USAGE)
    number: int | None = None
    if (text := line.last("signal")) is not None:
        try:
            number = values.signal_number(text)
        except values.BadValue:
            return Answer(stderr=f"Unknown job signal: {text}\n", exit_code=1)
    ids: list[Selected] = []
    for word in line.operands:
        for one in selectors.split(word) or [word]:
            chosen = selectors.parse(one.partition("+")[0])
            if chosen is None or not (chosen.step or "0").isdigit():
                return _error(f"Invalid job id {word}")
            ids.append(chosen)
    chosen_states = _states(_option(line.last("state"), environ, "SCANCEL_STATE"))
    if isinstance(chosen_states, Answer):
        return chosen_states
    user = _option(line.last("user"), environ, "SCANCEL_USER")
    wanted_uid = uid if line.has("me") else None
    if user is not None:
        wanted_uid = int(user) if user.isascii() and user.isdigit() else uid_of(user)
        if wanted_uid is None:
            return _error(f"Invalid user name: {user}")
    node_text = line.last("nodelist")
    try:
        nodes = None if node_text is None else tuple(hostlist.expand(node_text))
    except ValueError:
        return _error(f"Invalid node list: {node_text}")
    order = Order(
        ids=tuple(ids),
        signal_number=number,
        batch=line.has("batch") or environ.get("SCANCEL_BATCH", "").lower() in _YES,
        full=line.has("full") or environ.get("SCANCEL_FULL", "").lower() in _YES,
        interactive=line.has("interactive") or environ.get("SCANCEL_INTERACTIVE", "").lower() in _YES,
        verbose=line.has("verbose") or environ.get("SCANCEL_VERBOSE", "").lower() in _YES,
        quiet=line.has("quiet"),
        uid=wanted_uid,
        name=_option(line.last("jobname"), environ, "SCANCEL_NAME"),
        partition=_option(line.last("partition"), environ, "SCANCEL_PARTITION"),
        account=_option(line.last("account"), environ, "SCANCEL_ACCOUNT"),
        qos=_option(line.last("qos"), environ, "SCANCEL_QOS"),
        reservation=line.last("reservation"),
        wckey=_option(line.last("wckey"), environ, "SCANCEL_WCKEY"),
        states=chosen_states,
        nodes=nodes,
        clusters=_option(line.last("clusters"), environ, "SLURM_CLUSTERS"),
        user=str(uid) if user is None and line.has("me") else user,
    )
    if not order.ids and not order.filters:
        return _error("No job identification provided")
    return order


_YES = frozenset({"true", "t", "1", "yes", "y"})


def _option(value: str | None, environ: Mapping[str, str], variable: str) -> str | None:
    return value if value is not None else environ.get(variable)


def _states(text: str | None) -> frozenset[JobState] | Answer | None:
    if text is None:
        return None
    chosen: set[JobState] = set()
    for word in filter(None, text.split(",")):
        found = states.matching(word)
        if found is None:
            return Answer(
                stderr=f"Invalid job state specified: {word}\nValid job states are PENDING, RUNNING, and SUSPENDED\n",
                exit_code=1,
            )
        chosen |= found
    return frozenset(chosen)


def _error(text: str) -> Answer:
    return Answer(stderr=f"scancel: error: {text}\n", exit_code=1)


def matches(order: Order, job: Job) -> bool:
    """The filters, on a job that is not over."""
    request = job.request
    return (
        not job.is_final
        and (order.uid is None or request.uid == order.uid)
        and (order.name is None or request.name == order.name)
        and (order.partition is None or order.partition in {job.partition, *request.component.partitions})
        and (order.account is None or request.account == order.account)
        and (order.qos is None or (request.qos or "normal") == order.qos)
        and (order.reservation is None or request.reservation == order.reservation)
        and (order.wckey is None or request.wckey == order.wckey)
        and (order.states is None or job.state in order.states)
        and (order.nodes is None or any(share.node in order.nodes for share in job.nodes))
    )


def nothing_matched(order: Order) -> str:
    """-v: that no job was left by the filters."""
    filters = (
        ("account", order.account),
        ("job_name", order.name),
        ("nodelist", None if order.nodes is None else hostlist.compress(list(order.nodes))),
        ("partition", order.partition),
        ("qos", order.qos),
        ("reservation", order.reservation),
        ("state", None if order.states is None else ",".join(sorted(state.value for state in order.states))),
        ("user_name", order.user),
        ("wckey", order.wckey),
    )
    told = "".join(f"{name}={text} " for name, text in filters if text is not None)
    return f"scancel: error: No active jobs match ALL job filters, including: {told}\n"


def announcement(order: Order, shown_id: str) -> str:
    """-v: what is about to be done."""
    if order.ends_jobs:
        return f"scancel: Terminating job {shown_id}\n"
    number = order.signal_number or int(signal.SIGKILL)
    return f"scancel: Signal {number} to {'batch ' if order.batch else ''}job {shown_id}\n"


def step_announcement(order: Order, one: Selected) -> str:
    if order.signal_number in (None, signal.SIGKILL):
        return f"scancel: Terminating step {one}.{one.step}\n"
    return f"scancel: Signal {order.signal_number} to step {one}.{one.step}\n"


def step_failure(shown_id: str, code: str, exit_code: int | None = None) -> Answer:
    """`exit_code` None: the error's number, as far as a byte holds it."""
    text = errors.text_of(code, code)
    said = f"scancel: error: Kill job error on job step id {shown_id}: {text}\n"
    return Answer(stderr=said, exit_code=errors.number_of(code) % 256 if exit_code is None else exit_code)


def question(job: Job, shown_id: str) -> str:
    return f"Cancel job_id={shown_id} name={job.request.name} partition={job.partition} [y/n]? "


_HARMLESS_WHEN_ENDING = frozenset({"invalid_job_id", "already_done", "already_finished"})


def failure(order: Order, shown_id: str, code: str, sentence: str) -> Answer:
    """What scancel says and returns when one job refused.

    Ending a job that is over, or unknown, is no error; sending a signal to it is.
    """
    number, text = errors.number_of(code), errors.text_of(code, sentence)
    if order.ends_jobs and code in _HARMLESS_WHEN_ENDING:
        said = f"scancel: error: Kill job error on job id {shown_id}: {text}\n" if order.verbose else ""
        return Answer(stderr=said)
    exit_code = number % 256 if number > 0 else 1
    if code in ("already_done", "already_finished", "invalid_job_id"):
        text, exit_code = errors.text_of("invalid_job_id", text), 1
    said = "" if order.quiet else f"scancel: error: Kill job error on job id {shown_id}: {text}\n"
    return Answer(stderr=said, exit_code=exit_code)
