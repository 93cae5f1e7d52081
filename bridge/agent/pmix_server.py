"""A PMIx server for the ranks of a step on one node, through the libpmix of the machine or image: what Open MPI's
programs need under srun. Run by the step service as a program of its own: `python3 -I -S -E pmix_server.py`, with its
connection to the service as standard input. libpmix has threads and may only be loadable by the image's own Python.

Frames of `wire.py`, control messages only. In: what to serve, then `fenced`, `block`, `want`, `have`; out: `ready` with
each rank's environment or `failed`, then `block`, `fence`, `to`, `abort`, `say`. Data is hexadecimal.
Layouts, names of facts and numbers are those of libpmix 4.2 (`pmix_common.h`), which 5.0 keeps.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
from typing import Any, Dict, List, Sequence, Tuple

if not __package__:  # run as a program, by a path: our own package is two folders up
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from bridge.agent import mpi_ranks, wire
from bridge.agent import pmix_types as types

_BLOCK_BYTES = 1024 * 1024
_OK, _SUCCEEDED_AT_ONCE, _NOT_SUPPORTED, _UNREACHABLE = 0, -157, -47, -25
_EVERY_RANK = 0xFFFFFFFE


class Failed(Exception):
    """There will be no server; the text says why."""


class Server:
    def __init__(self, connection: socket.socket, wanted: Dict[str, Any]) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._name = str(wanted["name"])
        self._node = int(wanted["node"])
        self._names: List[str] = wanted["names"]
        self._ranks: List[List[int]] = wanted["ranks"]
        self._folder = str(wanted["folder"])
        self._place = {rank: node for node, ranks in enumerate(self._ranks) for rank in ranks}
        self._fences: Dict[str, Tuple[Any, Any]] = {}
        """Ranks in a fence → its callback and what that gets."""
        self._blocks: Dict[str, Dict[int, bytes]] = {}
        self._asked: Dict[int, Tuple[Any, Any]] = {}
        self._next_question = 0
        self._kept: List[Any] = []
        """What libpmix goes on pointing at."""
        self._library = self._load()

    @staticmethod
    def _load() -> Any:
        try:
            library = ctypes.CDLL("libpmix.so.2")
        except OSError as error:
            raise Failed(f"libpmix.so.2 cannot be loaded ({error})") from None
        library.PMIx_Error_string.restype = ctypes.c_char_p
        return library

    def tell(self, message: Dict[str, Any]) -> None:
        with self._lock:
            self._connection.sendall(wire.control(message))

    def _check(self, what: str, number: int) -> None:
        if number not in (_OK, _SUCCEEDED_AT_ONCE):
            raise Failed(f"libpmix: {what}: {self._library.PMIx_Error_string(number).decode()}")

    # ── start ─────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> Dict[int, Dict[str, str]]:
        """What each rank here is to find in its environment. Raises Failed."""
        module = types.Module(
            types.CLIENT(self._acknowledge),
            types.CLIENT(self._acknowledge),
            types.ABORT(self._on_abort),
            types.FENCE(self._on_fence),
            types.MODEX(self._on_modex),
        )
        spawn = types.SPAWN(self._on_spawn)
        module.spawn = ctypes.cast(spawn, ctypes.c_void_p)
        self._kept += [module, spawn]
        own = self._infos(
            [("pmix.srvr.tmpdir", types.STRING, self._folder), ("pmix.hname", types.STRING, self._names[self._node])]
        )
        self._check("init", self._library.PMIx_server_init(ctypes.byref(module), own, ctypes.c_size_t(2)))
        self._register()
        return {rank: self._environment_of(rank) for rank in self._ranks[self._node]}

    def _register(self) -> None:
        here = self._ranks[self._node]
        size = len(self._place)
        per_node = ";".join(",".join(map(str, ranks)) for ranks in self._ranks)
        job: List[Tuple[str, int, Any]] = [
            ("pmix.jobid", types.STRING, self._name),
            *((name, types.UINT32, size) for name in ("pmix.univ.size", "pmix.job.size", "pmix.max.size")),
            ("pmix.local.size", types.UINT32, len(here)),
            ("pmix.lldr", types.RANK, here[0]),
            ("pmix.lpeers", types.STRING, ",".join(map(str, here))),
            ("pmix.num.nodes", types.UINT32, len(self._names)),
            ("pmix.nmap", types.STRING, self._as_map(self._library.PMIx_generate_regex, ",".join(self._names))),
            ("pmix.pmap", types.STRING, self._as_map(self._library.PMIx_generate_ppn, per_node)),
        ]
        for rank, node in sorted(self._place.items()):
            local = self._ranks[node].index(rank)
            facts: List[Tuple[str, int, Any]] = [
                ("pmix.rank", types.RANK, rank),
                ("pmix.appnum", types.UINT32, 0),
                ("pmix.lrank", types.UINT16, local),
                ("pmix.nrank", types.UINT16, local),
                ("pmix.nodeid", types.UINT32, node),
                ("pmix.hname", types.STRING, self._names[node]),
            ]
            job.append(("pmix.pdata", types.ARRAY, facts))
        space = ctypes.create_string_buffer(self._name.encode(), 256)
        infos, count = self._infos(job), ctypes.c_size_t(len(job))
        number = self._library.PMIx_server_register_nspace(space, len(here), infos, count, None, None)
        self._check("register_nspace", number)

    def _as_map(self, function: Any, text: str) -> str:
        out = ctypes.c_char_p()
        self._check("map", function(text.encode(), ctypes.byref(out)))
        return (out.value or b"").decode()

    def _infos(self, facts: Sequence[Tuple[str, int, Any]]) -> Any:
        array = (types.Info * len(facts))()
        self._kept.append(array)
        for info, (key, kind, value) in zip(array, facts):  # noqa: B905 (Python 3.9)
            info.key, info.value.type = key.encode(), kind
            if kind == types.STRING:
                info.value.data.string = value.encode()
            elif kind == types.UINT16:
                info.value.data.u16 = value
            elif kind == types.ARRAY:
                outer = types.Array(types.INFO, len(value), ctypes.cast(self._infos(value), ctypes.c_void_p))
                self._kept.append(outer)
                info.value.data.array = ctypes.addressof(outer)
            else:
                info.value.data.u32 = value
        return array

    def _environment_of(self, rank: int) -> Dict[str, str]:
        proc = types.Proc(self._name.encode(), rank)
        uid, gid = os.geteuid(), os.getegid()
        number = self._library.PMIx_server_register_client(ctypes.byref(proc), uid, gid, None, None, None)
        self._check("register_client", number)
        listed = ctypes.POINTER(ctypes.c_char_p)()
        self._check("setup_fork", self._library.PMIx_server_setup_fork(ctypes.byref(proc), ctypes.byref(listed)))
        found: Dict[str, str] = {}
        place = 0
        while listed[place]:
            name, _, value = os.fsdecode(listed[place] or b"").partition("=")
            found[name] = value
            place += 1
        return found

    # ── from libpmix, in its thread ───────────────────────────────────────────────────────────────

    def _acknowledge(self, proc: Any, thing: Any, done: Any, data: Any) -> int:
        if done:
            types.DONE(done)(_OK, data)
        return _OK

    def _on_abort(
        self, proc: Any, thing: Any, status: int, text: Any, procs: Any, count: int, done: Any, data: Any
    ) -> int:
        self.tell({"do": "abort", "status": status & 0xFF})
        return self._acknowledge(proc, thing, done, data)

    def _on_spawn(self, *_: Any) -> int:
        self.tell({"do": "say", "line": mpi_ranks.SPAWN_IS_REFUSED})
        return _NOT_SUPPORTED

    def _on_fence(
        self, procs: Any, count: int, info: Any, infos: int, data: Any, size: int, done: Any, arg: Any
    ) -> int:
        ranks = {procs[place].rank for place in range(count)}
        nodes = sorted(set(self._place.values()) if _EVERY_RANK in ranks else {self._place[rank] for rank in ranks})
        key = "" if _EVERY_RANK in ranks or len(ranks) == len(self._place) else ",".join(map(str, sorted(ranks)))
        own = ctypes.string_at(data, size) if size else b""
        with self._lock:
            self._fences[key] = done, arg
            self._blocks.setdefault(key, {})[self._node] = own
        for start in range(0, len(own), _BLOCK_BYTES):
            part = own[start : start + _BLOCK_BYTES].hex()
            self.tell({"do": "puts", "key": key, "node": self._node, "data": part})
        self.tell({"do": "fence", "key": key, "nodes": [self._names[node] for node in nodes]})
        return _OK

    def _on_modex(self, proc: Any, info: Any, infos: int, done: Any, data: Any) -> int:
        """What a rank of another node has put, asked for by one of ours."""
        node = self._place.get(proc[0].rank)
        if node is None:
            return _UNREACHABLE
        with self._lock:
            self._next_question += 1
            question = self._next_question
            self._asked[question] = done, data
        wanted = {"do": "want", "rank": proc[0].rank, "by": self._names[self._node], "question": question}
        self.tell({"do": "to", "node": self._names[node], "message": wanted})
        return _OK

    # ── from the other nodes ──────────────────────────────────────────────────────────────────────

    def hear(self, message: Dict[str, Any]) -> None:
        verb = message["do"]
        if verb == "puts":
            with self._lock:
                blocks = self._blocks.setdefault(message["key"], {})
                node = int(message["node"])
                blocks[node] = blocks.get(node, b"") + bytes.fromhex(message["data"])
        elif verb == "fenced":
            with self._lock:
                done, arg = self._fences.pop(message["key"])
                blocks = self._blocks.pop(message["key"])
            self._hand_over(done, arg, _OK, b"".join(blocks[node] for node in sorted(blocks)))
        elif verb == "want":
            self._look_up(message)
        elif verb == "have":
            with self._lock:
                done, arg = self._asked.pop(int(message["question"]))
            self._hand_over(done, arg, int(message["status"]), bytes.fromhex(message["data"]))

    def _hand_over(self, done: Any, arg: Any, status: int, data: bytes) -> None:
        buffer = ctypes.create_string_buffer(data, len(data)) if data else None
        self._kept.append(buffer)
        where = ctypes.cast(buffer, ctypes.c_void_p) if buffer is not None else None
        types.MODEX_DONE(done)(status, where, len(data), arg, None, None)

    def _look_up(self, message: Dict[str, Any]) -> None:
        def answer(status: int, data: Any, size: int, _: Any) -> None:
            found = ctypes.string_at(data, size).hex() if size else ""
            have = {"do": "have", "question": message["question"], "status": status, "data": found}
            self.tell({"do": "to", "node": message["by"], "message": have})

        callback = types.LOOK_UP(answer)
        proc = types.Proc(self._name.encode(), int(message["rank"]))
        self._kept += [callback, proc]
        number = self._library.PMIx_server_dmodex_request(ctypes.byref(proc), callback, None)
        if number != _OK:
            answer(number, None, 0, None)


def main() -> None:
    connection = socket.socket(fileno=0)
    frames = wire.Frames()
    server = None
    while True:
        data = connection.recv(4 * wire.CHUNK_BYTES)
        if not data:
            os._exit(0)  # without libpmix's own farewell: its ranks are gone, its folder is the service's
        frames.feed(data)
        for _, _, body in frames:
            message = wire.read_control(body)
            if server is not None:
                server.hear(message)
                continue
            try:
                server = Server(connection, message)
                server.tell({"do": "ready", "environments": server.open()})
            except Failed as failed:
                connection.sendall(wire.control({"do": "failed", "why": str(failed)}))
                os._exit(1)


if __name__ == "__main__":
    main()
