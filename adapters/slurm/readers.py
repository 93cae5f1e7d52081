"""How the values of sbatch's options are read: text and context in, value out, or `BadValue` in sbatch's words.

The plain readers are in `values` and `choices`; here is what needs more than the text (a file, the user, the time)
and what has words of its own. `options` says which option has which.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from adapters.slurm import choices, durations, hostlist, timespec, values
from adapters.slurm.values import BadValue
from bridge.core.nodes import Site
from bridge.core.users import User


class NeedsFile(Exception):
    """The value names a file that the client has to read first."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(slots=True)
class Context:
    """What a reader may look at besides the text."""

    now: float
    zone_name: str
    user: User
    is_root: bool
    site: Site
    files: Mapping[str, bytes | str]
    find_user: Callable[[str], User | None] | None = None

    @property
    def zone(self) -> tzinfo | None:
        return durations.zone_named(self.zone_name)

    def file(self, path: str) -> bytes | str:
        """Content, or the name of the error (such as ENOENT) that kept the client from reading it."""
        content = self.files.get(f"file: {path}")
        if content is None:
            raise NeedsFile(path)
        return content


Reader = Callable[[str, Context], object]


class HelpAsked(Exception):
    """`--hint=help` and the like: the text is printed, and that is all."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = exit_code


def any_text(text: str, _: Context) -> str:
    return text


_IMAGE = re.compile(
    r"[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9._-]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)


def image(text: str, _: Context) -> str:
    """As pyxis has it, [docker://][USER@][REGISTRY#]IMAGE[:TAG]; as registries are written, REGISTRY/IMAGE[:TAG]."""
    registry, is_apart, name = text.removeprefix("docker://").rpartition("#")
    found = f"{registry.rpartition('@')[2]}/{name}" if is_apart else name
    if _IMAGE.fullmatch(found) is None:
        raise BadValue("--container-image takes the name of an image in a registry, not VALUE", text)
    return found


def yes(_: str, __: Context) -> bool:
    return True


def no(_: str, __: Context) -> bool:
    return False


def plain(reader: Callable[[str], object]) -> Reader:
    return lambda text, _: reader(text)


count = plain(values.count)
whole_number = plain(values.whole_number)
memory = plain(values.memory)
time_limit = plain(values.time_limit)


def gpus(text: str, _: Context) -> object:
    return values.gres_list(text, "gpu")


def point_in_time(text: str, context: Context) -> float:
    return timespec.parse_begin(text, context.now, context.zone)


def partitions(text: str, _: Context) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


_WHY_NOT = {"ENOENT": "No such file or directory", "EACCES": "Permission denied", "EISDIR": "Is a directory"}
_NO_FILE = "slurm_allocate_resources error opening file"


def node_names(text: str, context: Context) -> tuple[str, ...]:
    """A list of nodes, or with a slash a file of them."""
    if "/" in text:
        content = context.file(text)
        if isinstance(content, str):
            raise BadValue(f"{_NO_FILE} VALUE, {_WHY_NOT.get(content, content)}", text, exit_code=1)
        text = _names_in_file(content)
    try:
        return tuple(hostlist.expand(text))
    except hostlist.BadList as error:
        raise BadValue("fatal: Invalid node list specified", exit_code=1) from error


def excluded_names(text: str, context: Context) -> tuple[str, ...]:
    """sbatch leaves it to the controller to find out what cannot be read."""
    try:
        return node_names(text, context)
    except BadValue as bad:
        if "/" in text:
            raise
        raise BadValue("Batch job submission failed: Invalid node name specified", exit_code=1) from bad


def node_file(text: str, context: Context) -> tuple[str, ...]:
    content = context.file(text)
    if isinstance(content, str):
        why = _WHY_NOT.get(content, content)
        raise BadValue(f"{_NO_FILE} VALUE, {why}\nInvalid --OPTION node file", text)
    return node_names(_names_in_file(content).replace("/", ""), context)


def _names_in_file(content: bytes) -> str:
    lines = content.decode("utf-8", "surrogateescape").splitlines()
    return ",".join(line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip())


def export_file(text: str, context: Context) -> bytes:
    content = context.file(text)
    if isinstance(content, str):
        raise BadValue("Could not open user environment file VALUE", text, exit_code=1)
    return content


def burst_buffer_file(text: str, context: Context) -> str:
    content = context.file(text)
    if isinstance(content, str):
        raise BadValue(exit_code=1)
    return content.decode("utf-8", "surrogateescape")


def clusters(text: str, context: Context) -> str:
    names = text.split(",")
    if context.site.cluster_name in names or text == "all":
        return context.site.cluster_name
    raise BadValue(
        f"No cluster '{text}' known by database.\n'{text}' can't be reached now, or it is an invalid entry for "
        "--cluster.  Use 'sacctmgr list clusters' to see available clusters.",
        exit_code=1,
    )


def user(text: str, context: Context) -> User:
    choices.only_root(context.is_root)
    found = context.find_user(text) if context.find_user is not None else None
    if found is None and text in (context.user.name, str(context.user.uid)):
        return context.user
    if found is None:
        raise BadValue()
    return found


def group(text: str, context: Context) -> int:
    choices.only_root(context.is_root)
    return choices.group_number(text, context.user)


def shape(text: str, _: Context) -> dict[str, int]:
    """-B: sockets, cores, threads; `*` leaves one open, of a range the least counts."""
    fields = ("sockets_per_node", "cores_per_socket", "threads_per_core")
    shape = {}
    for name, ordinal, part in zip(fields, ("first", "second", "third"), text.split(":"), strict=False):
        if part != "*":
            try:
                shape[name] = max(1, values.whole_number(part.partition("-")[0]))
            except BadValue as bad:
                said = f'Invalid numeric value "VALUE" for {ordinal} arg of -B.'
                raise BadValue(said, part, exit_code=1) from bad
    return shape


def wait_all_nodes(text: str, _: Context) -> str:
    if text and values.whole_number(text) > 1:
        raise BadValue()
    return text or "0"


def switches_of_environment(text: str, _: Context) -> str:
    """The longest wait for them has a variable of its own."""
    values.count(text)
    return text


def switches(text: str, _: Context) -> str:
    values.count(text.partition("@")[0])
    return text


def segment(text: str, _: Context) -> str:
    if not text.isascii() or not text.isdigit():
        raise BadValue()
    return text


def delay_boot(text: str, _: Context) -> str:
    values.time_limit(text)
    return text


def hint(text: str, _: Context) -> str:
    if text.lower() == "help":
        raise HelpAsked("Hints: compute_bound, memory_bound, multithread, nomultithread\n", 1)
    return choices.hint(text)


def mem_bind(text: str, _: Context) -> str:
    if text.lower() == "help":
        raise HelpAsked("Memory bindings: quiet, verbose, none, rank, local, map_mem:LIST, mask_mem:LIST\n", 255)
    return choices.mem_bind(text)


def gres(text: str, _: Context) -> object:
    if text.lower() == "help":
        raise HelpAsked("Generic resources: NAME[:TYPE][:COUNT], joined by commas, such as gpu:a100:2\n", 0)
    return values.gres_list(text)


def reserved_ports(text: str, _: Context) -> object:
    if text and not text.isdigit():
        raise BadValue('Invalid numeric value "VALUE" for --resv-port.', text, exit_code=1)
    return text  # refused once everything else was read


def requeue(text: str, _: Context) -> bool:
    if text == "expedite":
        raise BadValue("Batch job submission failed: Requested operation not supported on this system", exit_code=1)
    return True


def refuse(sentence: str) -> Reader:
    def read(_: str, __: Context) -> object:
        raise BadValue(sentence, exit_code=1)

    return read
