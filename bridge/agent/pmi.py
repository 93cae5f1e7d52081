"""The PMI server of a step on one node, versions 1 and 2: how the ranks of an MPI program find each other. Pure.

What a rank puts is seen by nobody, itself included, before the next barrier or fence. Nothing leaves the node
between them: when the last rank of the node is in, all that was put here goes to srun, which passes it on and says
when all nodes are in. Answers are those of 25.11's mpi/pmi2, but that nobody is left without one.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from bridge.agent import mpi_ranks, pmi_text

_MOST_BYTES_TOLD = 256 * 1024
"""Of puts in one message to srun."""

_MOST_BYTES_KEPT = 256 * 1024 * 1024
"""Of all that ranks here put or wait for, in the whole step: the service's memory is not counted as the job's."""

_LIMITS = {"kvsname_max": 256, "keylen_max": 64, "vallen_max": 1024}
_APPLICATION = "-1"
"""The number of the program among those that were spawned: there is only one."""


class Rank:
    def __init__(self, number: int) -> None:
        self.number = number
        self.reader = pmi_text.Reader()
        self.thread: Optional[str] = None
        """Whose request is being answered, where version 2 names it."""


class Server:
    """`answer` takes a rank's number and bytes, `tell` a message for srun."""

    def __init__(
        self,
        name: str,
        size: int,
        mapping: str,
        numbers: Sequence[int],
        *,
        is_alone: bool,
        answer: Callable[[int, bytes], None],
        tell: Callable[[Dict[str, Any]], None],
    ) -> None:
        """`name` of the step, and of its key-value space; `is_alone`: there is no other node in the step."""
        self._name, self._size, self._is_alone = name, size, is_alone
        self._send, self._tell = answer, tell
        self._ranks = {number: Rank(number) for number in numbers}
        self._kvs: Dict[str, str] = {"PMI_process_mapping": mapping}
        self._of_job = {"PMI_process_mapping": mapping, "universeSize": str(size)}
        self._of_node: Dict[str, str] = {}
        self._puts: Dict[str, str] = {}
        self._from_others: Dict[str, str] = {}
        self._bytes_kept = 0
        self._in_barrier: List[Rank] = []
        self._waiting_for: List[Tuple[Rank, str]] = []
        """Who waits for which attribute of the node."""

    # ── from the ranks ────────────────────────────────────────────────────────────────────────────

    def hear(self, number: int, data: bytes) -> None:
        """Raises ValueError: that is no PMI, or too much of it."""
        rank = self._ranks[number]
        rank.reader.feed(data)
        while True:
            request = rank.reader.take()
            if request is None:
                return
            rank.thread = request.get("thrid")
            self._handle(rank, request)

    def _handle(self, rank: Rank, request: Dict[str, str]) -> None:
        known = _COMMANDS.get(request["cmd"])
        if known is None:
            self._tell_user(f"error: mpi/pmi2: invalid pmi{rank.reader.version} command received: '{request['cmd']}'")
            self._answer(rank, request["cmd"].replace("-", "_") + "_result", request["cmd"], rc=-1)
        else:
            known(self, rank, request)

    def _answer(self, rank: Rank, name: str, command: str, /, **fields: object) -> None:
        """Version 1 has a name for each answer; version 2 says the command again."""
        texts = {key: str(value) for key, value in fields.items()}
        if rank.reader.version == 1:
            self._send(rank.number, pmi_text.line(name, texts))
            return
        thread = {} if rank.thread is None else {"thrid": rank.thread}
        named = {key.replace("_", "-"): value for key, value in texts.items()}
        self._send(rank.number, pmi_text.message(f"{command}-response", {**thread, **named}))

    def _tell_user(self, line: str) -> None:
        self._tell({"do": "say", "line": line})

    def _init(self, rank: Rank, request: Dict[str, str]) -> None:
        version, minor = request.get("pmi_version", ""), request.get("pmi_subversion", "0")
        is_known = version in ("1", "2")
        self._answer(rank, "response_to_init", "", rc=0 if is_known else -1, pmi_version=version, pmi_subversion=minor)
        if is_known:
            rank.reader.version = int(version)

    def _full_init(self, rank: Rank, request: Dict[str, str]) -> None:
        fields = {"pmi_version": 2, "pmi_subversion": 0, "rank": rank.number, "size": self._size}
        more = {"appnum": _APPLICATION, "debugged": "FALSE", "pmiverbose": "FALSE"}
        self._answer(rank, "", request["cmd"], rc=0, **fields, **more)

    def _maxes(self, rank: Rank, request: Dict[str, str]) -> None:
        self._answer(rank, "maxes", request["cmd"], rc=0, **_LIMITS)

    def _appnum(self, rank: Rank, request: Dict[str, str]) -> None:
        self._answer(rank, "appnum", request["cmd"], rc=0, appnum=_APPLICATION)

    def _kvsname(self, rank: Rank, request: Dict[str, str]) -> None:
        self._answer(rank, "my_kvsname", request["cmd"], rc=0, kvsname=self._name)

    def _universe(self, rank: Rank, request: Dict[str, str]) -> None:
        self._answer(rank, "universe_size", request["cmd"], rc=0, size=self._size)

    def _job_id(self, rank: Rank, request: Dict[str, str]) -> None:
        self._answer(rank, "", request["cmd"], rc=0, jobid=self._name)

    def _finalize(self, rank: Rank, request: Dict[str, str]) -> None:
        self._answer(rank, "finalize_ack", request["cmd"], rc=0)

    def _count(self, *kept: str) -> None:
        """Raises ValueError."""
        self._bytes_kept += sum(map(len, kept))
        if self._bytes_kept > _MOST_BYTES_KEPT:
            raise ValueError(f"more than {_MOST_BYTES_KEPT} bytes were put")

    def _put(self, rank: Rank, request: Dict[str, str]) -> None:
        key, value = request.get("key", ""), request.get("value", "")
        self._count(key, value)
        self._puts[key] = value
        self._answer(rank, "put_result", request["cmd"], rc=0)

    def _get(self, rank: Rank, request: Dict[str, str]) -> None:
        is_ours = request.get("kvsname", self._name) == self._name
        self._found(rank, request["cmd"], self._kvs.get(request.get("key", "")) if is_ours else None)

    def _found(self, rank: Rank, command: str, value: Optional[str]) -> None:
        found = {} if value is None else {"value": value}
        if rank.reader.version == 1:
            self._answer(rank, "get_result", command, rc=1 if value is None else 0, **found)
        else:
            self._answer(rank, "", command, rc=0, found="FALSE" if value is None else "TRUE", **found)

    def _get_of_job(self, rank: Rank, request: Dict[str, str]) -> None:
        self._found(rank, request["cmd"], self._of_job.get(request.get("key", "")))

    def _put_of_node(self, rank: Rank, request: Dict[str, str]) -> None:
        key, value = request.get("key", ""), request.get("value", "")
        self._count(key, value)
        self._of_node[key] = value
        self._answer(rank, "", request["cmd"], rc=0)
        served = [waiter for waiter, wanted in self._waiting_for if wanted == key]
        self._waiting_for = [(waiter, wanted) for waiter, wanted in self._waiting_for if wanted != key]
        for waiter in served:
            self._found(waiter, "info-getnodeattr", value)

    def _get_of_node(self, rank: Rank, request: Dict[str, str]) -> None:
        key = request.get("key", "")
        if key not in self._of_node and request.get("wait") == "TRUE":
            self._count(key)
            self._waiting_for.append((rank, key))
        else:
            self._found(rank, request["cmd"], self._of_node.get(key))

    def _barrier(self, rank: Rank, request: Dict[str, str]) -> None:
        self._in_barrier.append(rank)
        if len(self._in_barrier) < len(self._ranks):
            return
        if self._is_alone:
            self._leave_barrier()
            return
        for part in _pieces(self._puts):
            self._tell({"do": "puts", "puts": part})
        self._tell({"do": "fence"})

    def _leave_barrier(self) -> None:
        self._kvs.update(self._puts)
        self._kvs.update(self._from_others)
        self._puts, self._from_others = {}, {}
        ready, self._in_barrier = self._in_barrier, []
        for rank in ready:
            self._answer(rank, "barrier_out", "kvs-fence", rc=0)

    def _abort(self, rank: Rank, request: Dict[str, str]) -> None:
        """Has no answer: the rank waits to be killed."""
        self._tell({"do": "abort"})

    def _spawn(self, rank: Rank, request: Dict[str, str]) -> None:
        self._tell_user(mpi_ranks.SPAWN_IS_REFUSED)
        self._answer(rank, "spawn_result", request["cmd"], rc=-1)

    def _name_service(self, rank: Rank, request: Dict[str, str]) -> None:
        """Names are the whole step's: srun keeps them."""
        verb = {"publish-name": "publish", "lookup-name": "lookup", "unpublish-name": "unpublish"}.get(
            request["cmd"], request["cmd"].partition("-")[2]
        )
        name = request.get("service") or request.get("name") or ""
        self._tell({"do": verb, "rank": rank.number, "name": name, "port": request.get("port", "")})

    # ── from srun ─────────────────────────────────────────────────────────────────────────────────

    def from_srun(self, message: Dict[str, Any]) -> None:
        if message["do"] == "puts":
            self._from_others.update(message["puts"])
        elif message["do"] == "fenced":
            self._leave_barrier()
        elif message["do"] == "named":
            self._named(self._ranks[int(message["rank"])], message)

    def _named(self, rank: Rank, message: Dict[str, Any]) -> None:
        verb, is_good, port = str(message["verb"]), bool(message["is_good"]), str(message["port"])
        if rank.reader.version == 1:
            shown = {"port": port} if verb == "lookup" and is_good else {}
            self._answer(rank, f"{verb}_result", "", info="ok" if is_good else "fail", **shown)
        else:
            shown = {"value": port} if verb == "lookup" and is_good else {}
            self._answer(rank, "", f"name-{verb}", rc=0 if is_good else 1, **shown)


_COMMANDS: Dict[str, Callable[[Server, Rank, Dict[str, str]], None]] = {
    "init": Server._init,
    "fullinit": Server._full_init,
    "get-maxes": Server._maxes,
    "get-appnum": Server._appnum,
    "get-my-kvsname": Server._kvsname,
    "get-universe-size": Server._universe,
    "job-getid": Server._job_id,
    "put": Server._put,
    "kvs-put": Server._put,
    "get": Server._get,
    "kvs-get": Server._get,
    "info-getjobattr": Server._get_of_job,
    "info-putnodeattr": Server._put_of_node,
    "info-getnodeattr": Server._get_of_node,
    "barrier-in": Server._barrier,
    "kvs-fence": Server._barrier,
    "publish-name": Server._name_service,
    "lookup-name": Server._name_service,
    "unpublish-name": Server._name_service,
    "name-publish": Server._name_service,
    "name-lookup": Server._name_service,
    "name-unpublish": Server._name_service,
    "spawn": Server._spawn,
    "abort": Server._abort,
    "finalize": Server._finalize,
}


def _pieces(puts: Dict[str, str]) -> List[Dict[str, str]]:
    """No piece much larger than a message to srun should be."""
    pieces: List[Dict[str, str]] = []
    size = _MOST_BYTES_TOLD
    for key, value in puts.items():
        if size >= _MOST_BYTES_TOLD:
            pieces.append({})
            size = 0
        pieces[-1][key] = value
        size += len(key) + len(value)
    return pieces


def process_mapping(ranks_of_nodes: Sequence[Sequence[int]]) -> str:
    """`(vector,(FIRST NODE,NODES,RANKS ON EACH),...)`, from rank 0 upwards. MPICH knows neighbours from it alone."""
    nodes = sorted((rank, node) for node, ranks in enumerate(ranks_of_nodes) for rank in ranks)
    triples: List[List[int]] = []
    for node, run in itertools.groupby(node for _, node in nodes):
        count = len(list(run))
        if triples and triples[-1][2] == count and triples[-1][0] + triples[-1][1] == node:
            triples[-1][1] += 1
        else:
            triples.append([node, 1, count])
    return "(vector," + ",".join("({},{},{})".format(*triple) for triple in triples) + ")"
