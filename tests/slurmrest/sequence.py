"""One sequence of requests, played to whoever speaks slurmrestd's language."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.slurmrest.real import Served

V44, DB = "/slurm/v0.0.44", "/slurmdb/v0.0.44"
WAIT_SECONDS = 30.0
FINAL = {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE"}
EXITS_3 = "#!/bin/sh\nexit 3\n"
WAITS = "#!/bin/sh\nsleep 600\n"


@dataclass
class Play:
    """`answers`: (what was asked, status, answer), ids written as `{1}`, `{2}` ... in the order in which they came."""

    served: Served
    """As a plain user."""
    operator: Served
    """The same, as root."""
    answers: list[tuple[str, int, Any]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    unique: str = field(default_factory=lambda: f"past{time.time_ns()}")
    """A name that nothing else in the history has; `{unique}` in what is asked and answered."""

    def ask(
        self,
        label: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_root: bool = False,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        served = self.operator if as_root else self.served
        status, answer = served.call(method, self._filled(path), self._filled(body), token=token, headers=headers)
        if isinstance(answer, dict) and isinstance(answer.get("job_id"), int):
            self.ids.append(answer["job_id"])
        self.answers.append((label, status, self.general(answer)))
        return answer

    def submit(self, label: str, script: str = EXITS_3, as_root: bool = False, **fields: Any) -> str:
        """The id as `{N}`."""
        usual = {
            "name": "rest",
            "tasks": 1,
            "time_limit": {"set": True, "number": 5},
            "current_working_directory": "/tmp",
            "standard_output": "/dev/null",
            "environment": ["PATH=/usr/bin:/bin"],
        }
        told = {name: value for name, value in {**usual, **fields}.items() if value is not ...}
        before = len(self.ids)
        self.ask(label, "POST", f"{V44}/job/submit", {"script": script, "job": told}, as_root=as_root)
        return _place(len(self.ids)) if len(self.ids) > before else "{none}"

    def until(self, job: str, reached: Callable[[set[str]], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            _, answer = self.served.call("GET", self._filled(f"{V44}/job/{job}"))
            if answer["jobs"] and all(reached(set(one["job_state"])) for one in answer["jobs"]):
                return
            assert time.monotonic() < deadline, answer["jobs"]
            time.sleep(0.2)  # slurmctld has no events to wait for

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        if isinstance(value, str):
            value = value.replace("{unique}", self.unique)
            for place, number in enumerate(self.ids, 1):
                value = value.replace(_place(place), str(number))
        return value

    def general(self, value: Any, name: str = "") -> Any:
        """Ids as places, so that two plays can be compared."""
        if isinstance(value, dict):
            return {key: self.general(one, name if key in _PARTS else key) for key, one in value.items()}
        if isinstance(value, list):
            if name == "users":  # by name, and the plain user has another on either side
                value = sorted(value, key=lambda one: isinstance(one, dict) and one["name"] != "root")
            return [self.general(one, name) for one in value]
        if isinstance(value, str):
            value = value.replace(self.unique, "{unique}")
        if name not in _HOLDS_IDS or isinstance(value, bool) or (name == "id" and not isinstance(value, str)):
            return value
        if isinstance(value, int) and value in self.ids:
            return _place(self.ids.index(value) + 1)
        if isinstance(value, str):
            for place, number in enumerate(self.ids, 1):
                before = _BEFORE.get(name, r"(?<![\d_])")
                value = re.sub(rf"{before}{number}(?!\d)", _place(place), value)
        return value


def _place(number: int) -> str:
    return f"{{{number}}}"


_PARTS = frozenset({"set", "infinite", "number"})
_BEFORE = {"description": r"(?i:(?<=jobid=))", "submit_line": r"(?<=afterok:)"}
"""What stands before an id in texts that hold other numbers too."""
_HOLDS_IDS = frozenset(
    {"job_id", "array_job_id", "step_id", "id", "dependency", "description", "submit_line"}
    | {"stdin_expanded", "stdout_expanded", "stderr_expanded", "standard_input", "standard_output", "standard_error"}
)


def play(served: Served, operator: Served, subject: Callable[[Play], None]) -> list[tuple[str, int, Any]]:
    one = Play(served, operator)
    subject(one)
    return one.answers


def plain(one: Play) -> None:
    job = one.submit("a job that fails", tasks=2, partition="main")
    one.until(job, lambda state: bool(state & FINAL) and "COMPLETING" not in state)
    one.ask("its record", "GET", f"{V44}/job/{job}")
    one.ask("its state", "GET", f"{V44}/jobs/state/?job_id={job}")
    one.ask("cancelling what has ended", "DELETE", f"{V44}/job/{job}")
    one.ask("changing what has ended", "POST", f"{V44}/job/{job}", {"name": "x"})


def waiting(one: Play) -> None:
    job = one.submit(
        "a held job with many wishes",
        hold=True,
        tasks=2,
        nodes="2",
        cpus_per_task=2,
        memory_per_node=500,
        comment="c",
        nice=7,
        licenses="matlab:2",
        mail_type=["BEGIN", "FAIL"],
        mail_user="a@b",
        deadline=2000000000,
        excluded_nodes=["n1"],
        constraints="intel|amd",
        requeue=False,
        standard_output="o-%j.txt",
        standard_error="e-%j",
        standard_input="/in-%j",
        time_minimum=2,
        extra="ex",
    )
    for version in (41, 42, 43, 44):
        one.ask(f"its record in v0.0.{version}", "GET", f"/slurm/v0.0.{version}/job/{job}")
    one.ask("a new name", "POST", f"{V44}/job/{job}", {"name": "newname", "comment": ""})
    one.ask("a new limit", "POST", f"{V44}/job/{job}", {"time_limit": {"set": True, "number": 9}})
    one.ask("more nodes", "POST", f"{V44}/job/{job}", {"nodes": "3", "tasks": 3})
    one.ask("an unknown field", "POST", f"{V44}/job/{job}", {"zork": 1})
    one.ask("no such partition", "POST", f"{V44}/job/{job}", {"partition": "zork"})
    one.ask("no such dependency", "POST", f"{V44}/job/{job}", {"dependency": "zork"})
    one.ask("a wrong type", "POST", f"{V44}/job/{job}", {"time_limit": "soon"})
    one.ask("its record after all that", "GET", f"{V44}/job/{job}")
    after = one.submit("a job that waits for it", dependency=f"afterok:{job}")
    one.ask("the record of what waits", "GET", f"{V44}/job/{after}")
    later = one.submit("a job that begins later", begin_time=2000000000)
    one.ask("the record of what begins later", "GET", f"{V44}/job/{later}")
    one.ask("a signal to what waits", "DELETE", f"{V44}/job/{job}?signal=USR1")
    for number in (after, later, job):
        one.ask("cancelled", "DELETE", f"{V44}/job/{number}")
    one.ask("the record of what was cancelled", "GET", f"{V44}/job/{job}")


def array(one: Play) -> None:
    job = one.submit("a held array", array="0-3%2", hold=True, name="arr", standard_output=...)
    one.ask("its record", "GET", f"{V44}/job/{job}")
    one.ask("its states", "GET", f"{V44}/jobs/state/?job_id={job}")
    one.ask("a task cancelled", "DELETE", f"{V44}/job/{job}_1")
    one.ask("no such task", "DELETE", f"{V44}/job/{job}_7")
    one.ask("a task changed", "POST", f"{V44}/job/{job}_2", {"name": "x"})
    one.ask("all cancelled", "DELETE", f"{V44}/job/{job}")
    one.submit("an array that cannot be", array="3-1")


def running(one: Play) -> None:
    job = one.submit("a job that runs", WAITS, tasks=1)
    one.until(job, lambda state: state == {"RUNNING"})
    one.ask("its record", "GET", f"{V44}/job/{job}")
    one.ask("tasks of what runs", "POST", f"{V44}/job/{job}", {"tasks": 4})
    one.ask("its name", "POST", f"{V44}/job/{job}", {"name": "other"})
    one.ask("cancelled", "DELETE", f"{V44}/job/{job}")
    one.until(job, lambda state: bool(state & FINAL) and "COMPLETING" not in state)
    one.ask("its record", "GET", f"{V44}/job/{job}")
    many = [one.submit("one of several", hold=True, name=f"k{number}") for number in range(2)]
    one.ask("several cancelled", "DELETE", f"{V44}/jobs/", {"jobs": many})
    one.ask("several once more", "DELETE", f"{V44}/jobs/", {"jobs": [many[0], "9999999"]})
    one.ask("by name", "DELETE", f"{V44}/jobs/", {"job_name": "nobody"})
    one.ask("nothing named", "DELETE", f"{V44}/jobs/", {})


_WRONG: dict[str, dict[str, Any]] = {
    "no environment": {"environment": ...},
    "no directory": {"current_working_directory": ...},
    "no such partition": {"partition": "zork"},
    "no such feature": {"constraints": "zork"},
    "no such node": {"excluded_nodes": ["zork"]},
    "no such licence": {"licenses": "zork:3"},
    "no such dependency": {"dependency": "afterok:99999999"},
    "a dependency that is none": {"dependency": "foo"},
    "too much memory": {"memory_per_node": 99999999},
    "bad TRES": {"tres_per_node": "foo:1"},
    "below zero": {"nice": -5},
    "another user": {"user_id": "root"},
    "no such user": {"user_id": "nosuchuser"},
    "nodes that are none": {"nodes": "two"},
    "a text for a number": {"tasks": "2", "hold": True},
    "a word for a number": {"tasks": "two"},
    "a fraction for a number": {"tasks": 2.5, "hold": True},
    "a number for a text": {"name": 5, "hold": True},
    "a list for a text": {"name": ["a"]},
    "a text for yes": {"hold": "yes"},
    "a word for a time": {"time_limit": "soon"},
    "a number in a text for a time": {"time_limit": "10", "hold": True},
    "an unknown part of a number": {"time_limit": {"set": True, "number": 3, "foo": 1}, "hold": True},
    "an object for a list": {"environment": {"A": "1"}, "hold": True},
    "a text for a list": {"environment": "A=1"},
    "an unknown flag": {"flags": ["NOPE"], "hold": True},
    "no flags": {"mail_type": None},
    "unknown fields": {"zork": 1, "aaa": [], "bbb": {"c": 1.5}, "name": 5, "hold": True},
}


def errors(one: Play) -> None:
    for label, fields in _WRONG.items():
        one.submit(label, **fields)
    one.ask("no script", "POST", f"{V44}/job/submit", {"job": {"name": "x"}})
    one.ask("no job", "POST", f"{V44}/job/submit", {"script": EXITS_3})
    one.ask("both", "POST", f"{V44}/job/submit", {"script": EXITS_3, "job": {}, "jobs": [{}]})
    one.ask("a list", "POST", f"{V44}/job/submit", "[1]")
    one.ask("no JSON", "POST", f"{V44}/job/submit", "{broken")
    one.ask("nothing", "POST", f"{V44}/job/submit", "")
    one.ask("null", "POST", f"{V44}/job/submit", {"job": None})
    for word in ("9999999", "99999999", "abc", "0", "-1", "12_3x", "67108863"):
        one.ask(f"job {word}", "GET", f"{V44}/job/{word}")
        one.ask(f"cancelling job {word}", "DELETE", f"{V44}/job/{word}")
    one.ask("changing no job", "POST", f"{V44}/job/9999999", {"name": "x"})
    one.ask("states of no job", "GET", f"{V44}/jobs/state/?job_id=9999999")
    one.ask("states of a word", "GET", f"{V44}/jobs/state/?job_id=abc")
    one.ask("jobs since later", "GET", f"{V44}/jobs/?update_time=1999999999")
    one.ask("jobs since a word", "GET", f"{V44}/jobs/?update_time=abc")
    one.ask("an unknown flag of a query", "GET", f"{V44}/jobs/?update_time=1999999999&flags=zork")
    one.ask("an unknown parameter", "GET", f"{V44}/jobs/?update_time=1999999999&zork=1")
    for path in ("/nowhere", "/slurm/v0.0.1/ping", f"{V44}/job", f"{V44}/zork", "/", f"{V44}/job/1+0"):
        one.ask(path, "GET", path)
    one.ask("a method that is none", "PUT", f"{V44}/job/1")
    one.ask("submit by GET", "GET", f"{V44}/job/submit")


def cluster(one: Play) -> None:
    one.ask("ping", "GET", f"{V44}/ping/")
    one.ask("no such node", "GET", f"{V44}/node/zork")
    one.ask("no such partition", "GET", f"{V44}/partition/zork")
    one.ask("no such reservation", "GET", f"{V44}/reservation/zork")
    one.ask("reservations", "GET", f"{V44}/reservations/")
    one.ask("licences", "GET", f"{V44}/licenses/")
    one.ask("partitions", "GET", f"{V44}/partitions/")
    one.ask("nodes since later", "GET", f"{V44}/nodes/?update_time=1999999999")
    for name in ("user/zork", "account/zork", "qos/zork", "cluster/zork", "job/9999999", "job/abc"):
        one.ask(name, "GET", f"{DB}/{name}")
    one.ask("the usual QOS", "GET", f"{DB}/qos/normal")
    one.ask("no such user's associations", "GET", f"{DB}/associations/?user=zork")


SUBJECTS: Mapping[str, Callable[[Play], None]] = {
    "a job": plain,
    "waiting": waiting,
    "arrays": array,
    "running": running,
    "errors": errors,
    "the cluster": cluster,
}
