"""More of the sequence: who asks, other people's jobs, nodes, the history, the book of accounts."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.slurmrest.sequence import DB, FINAL, V44, WAITS, Play

BAD_TOKENS = ("garbage", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.eyJzdW4iOiJyb290In0.AAAA")


def who_asks(one: Play) -> None:
    for path in (f"{V44}/ping/", f"{V44}/jobs/", f"{V44}/job/1", f"{DB}/users/", f"{V44}/nodes/", f"{V44}/zork"):
        one.ask(f"{path} without a token", "GET", path, token="")
        for token in BAD_TOKENS:
            one.ask(f"{path} with the token {token}", "GET", path, token=token)
    one.ask("submit without a token", "POST", f"{V44}/job/submit", {"script": "x"}, token="")
    one.ask("submit with a bad token", "POST", f"{V44}/job/submit", {"script": "x", "job": {}}, token="garbage")
    one.ask("cancel with a bad token", "DELETE", f"{V44}/job/1", token="garbage")
    one.ask("change with a bad token", "POST", f"{V44}/job/1", {"name": "x"}, token="garbage")
    for scheme in ("Bearer garbage", "Basic cm9vdDpyb290", "Bearer"):
        one.ask(f"authorization {scheme}", "GET", f"{V44}/jobs/", token="", headers={"Authorization": scheme})
    for name in ("root", "nosuchuser"):
        named = {"X-SLURM-USER-NAME": name}
        one.ask(f"acting for {name}", "GET", f"{V44}/job/9999999", headers=named)
        one.ask(f"submitting for {name}", "POST", f"{V44}/job/submit", {"script": "x", "job": {}}, headers=named)
    one.ask("root acts for nobody", "GET", f"{V44}/job/9999999", as_root=True, headers={"X-SLURM-USER-NAME": "nosuch"})


def kinds_of_content(one: Play) -> None:
    ping, body = f"{V44}/ping/", '{"script": "#!/bin/sh\\n", "job": {}}'
    for kind in ("text/html", "application/xml", "application/yaml", "*/*", "text/html, application/json"):
        one.ask(f"accept {kind}", "GET", f"{V44}/job/9999999", headers={"Accept": kind})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
        one.ask(f"content {kind}", "POST", f"{V44}/job/submit", body, headers={"content-type": kind})
    for method in ("PUT", "PATCH", "POST", "DELETE"):
        one.ask(f"{method} ping", method, ping)
        one.ask(f"{method} nodes", method, f"{V44}/nodes/zork/zork")
    for version in ("v0.0.39", "v0.0.40", "v0.0.45", "v0.0.044", "v44", "v0.0.4"):
        one.ask(f"version {version}", "GET", f"/slurm/{version}/ping/")
        one.ask(f"accounting of {version}", "GET", f"/slurmdb/{version}/jobs/")
    for path in (f"{V44}//ping/", f"{V44}/ping", f"{V44}/job/submit/", f"{V44}/jobs", f"{V44}/JOBS/", "/slurm/"):
        one.ask(path, "GET", path + "?update_time=1999999999" if "jobs" in path else path)


def others_jobs(one: Play) -> None:
    job = one.submit("root's job", WAITS, as_root=True, hold=True)
    array = one.submit("root's array", WAITS, as_root=True, hold=True, array="0-2")
    mine = one.submit("my own", WAITS, hold=True)
    one.ask("its record", "GET", f"{V44}/job/{job}")
    one.ask("cancelled", "DELETE", f"{V44}/job/{job}")
    one.ask("signalled", "DELETE", f"{V44}/job/{job}?signal=USR1")
    one.ask("an array cancelled", "DELETE", f"{V44}/job/{array}")
    one.ask("a task cancelled", "DELETE", f"{V44}/job/{array}_1")
    one.ask("changed", "POST", f"{V44}/job/{job}", {"name": "mine"})
    one.ask("released", "POST", f"{V44}/job/{job}", {"hold": False})
    one.ask("several of two people", "DELETE", f"{V44}/jobs/", {"jobs": [job, mine, f"{array}_0"]})
    one.ask("root cancels", "DELETE", f"{V44}/job/{job}", as_root=True)
    one.ask("root cancels the array", "DELETE", f"{V44}/job/{array}", as_root=True)
    one.ask("what became of it", "GET", f"{V44}/jobs/state/?job_id={job}")
    one.ask("what became of the array", "GET", f"{V44}/jobs/state/?job_id={array}")


def many_at_once(one: Play) -> None:
    """DELETE jobs/ with all that its body may say."""
    url = f"{V44}/jobs/"
    first, second, third = (one.submit(f"job {name}", WAITS, hold=True, name=name) for name in ("ka", "kb", "kb"))
    one.ask("a number", "DELETE", url, {"jobs": [9999999]})
    one.ask("words", "DELETE", url, {"jobs": ["abc", "1_x", ""]})
    one.ask("no list", "DELETE", url, {"jobs": "9999999"})
    one.ask("no known signal", "DELETE", url, {"jobs": [first], "signal": "ZORK"})
    one.ask("an unknown flag", "DELETE", url, {"jobs": [first], "flags": ["ZORK"]})
    one.ask("an unknown field", "DELETE", url, {"jobs": ["9999999"], "zork": 1})
    one.ask("a state and a name", "DELETE", url, {"job_name": "kb", "job_state": ["RUNNING"]})
    one.ask("a name", "DELETE", url, {"job_name": "kb"})
    one.ask("an unknown partition", "DELETE", url, {"partition": "zork"})
    one.ask("an unknown user", "DELETE", url, {"user_name": "nosuchuser"})
    one.ask("verbose", "DELETE", url, {"jobs": [first], "flags": ["VERBOSE"]})
    one.ask("no JSON", "DELETE", url, "{")
    one.ask("an empty body", "DELETE", url)
    for job in (first, second, third):
        one.ask("its state", "GET", f"{V44}/jobs/state/?job_id={job}")
    running = one.submit("one that runs", WAITS)
    one.until(running, lambda state: state == {"RUNNING"})
    one.ask("its state while it runs", "GET", f"{V44}/jobs/state/?job_id={running}")
    one.ask("signalled", "DELETE", url, {"jobs": [running], "signal": "CONT"})
    one.ask("ended", "DELETE", url, {"jobs": [running], "signal": "KILL", "flags": ["FULL_JOB"]})
    one.until(running, lambda state: bool(state & FINAL) and "COMPLETING" not in state)
    one.ask("once more", "DELETE", url, {"jobs": [running]})


def nodes(one: Play) -> None:
    node, many = f"{V44}/node/n2", f"{V44}/nodes/"
    one.ask("n2", "GET", node)
    drain: dict[str, Any] = {"state": ["DRAIN"], "reason": "a fan"}
    one.ask("drained by a plain user", "POST", node, drain)
    one.ask("drained by root", "POST", node, drain, as_root=True)
    one.ask("n2 drained", "GET", node)
    one.ask("another reason", "POST", node, {"reason": "two fans"}, as_root=True)
    one.ask("n2 with another reason", "GET", node)
    one.ask("resumed", "POST", node, {"state": ["RESUME"]}, as_root=True)
    one.ask("n2 resumed", "GET", node)
    one.ask("down without a reason", "POST", node, {"state": ["DOWN"]}, as_root=True)
    one.ask("down", "POST", node, {"state": ["DOWN"], "reason": "gone"}, as_root=True)
    one.ask("n2 down", "GET", node)
    one.ask("up again", "POST", node, {"state": ["RESUME"]}, as_root=True)
    one.ask("no such state", "POST", node, {"state": ["ZORK"]}, as_root=True)
    one.ask("nothing", "POST", node, {}, as_root=True)
    one.ask("no body", "POST", node, as_root=True)
    one.ask("an unknown field", "POST", node, {"zork": 1}, as_root=True)
    one.ask("an unknown node", "POST", f"{V44}/node/zork", drain, as_root=True)
    one.ask("several by a plain user", "POST", many, {"name": ["n1", "n2"], **drain})
    one.ask("several", "POST", many, {"name": ["n1", "n2"], **drain}, as_root=True)
    one.ask("n1 of several", "GET", f"{V44}/node/n1")
    one.ask("several back", "POST", many, {"name": "n[1-2]", "state": ["RESUME"]}, as_root=True)
    one.ask("n1 back", "GET", f"{V44}/node/n1")
    one.ask("several without names", "POST", many, drain, as_root=True)
    one.ask("several with an unknown one", "POST", many, {"name": ["n1", "zork"], **drain}, as_root=True)
    one.ask("n1 after that", "GET", f"{V44}/node/n1")
    one.ask("n1 back again", "POST", f"{V44}/node/n1", {"state": ["RESUME"]}, as_root=True)
    one.ask("a comment", "POST", node, {"comment": "c", "extra": "e"}, as_root=True)
    one.ask("n2 with a comment", "GET", node)
    one.ask("no comment", "POST", node, {"comment": "", "extra": ""}, as_root=True)


def history(one: Play) -> None:
    job = one.submit("a job that fails", name="{unique}")
    one.until(job, lambda state: bool(state & FINAL) and "COMPLETING" not in state)
    waiting = one.submit("a job that waits", name="{unique}2", hold=True)
    array = one.submit("an array", name="{unique}3", hold=True, array="0-2")
    for version in (41, 42, 43, 44):
        one.ask(f"its record in v0.0.{version}", "GET", f"/slurmdb/v0.0.{version}/job/{job}")
    one.ask("what waits", "GET", f"{DB}/job/{waiting}")
    one.ask("the array", "GET", f"{DB}/job/{array}")
    one.ask("a task", "GET", f"{DB}/job/{array}_1")
    for query in (
        "job_name={unique}",
        "job_name={unique}2,nosuch",
        "job_name={unique}&state=FAILED",
        "job_name={unique}&state=RUNNING",
        "job_name={unique}&state=ZORK",
        "job_name={unique}&partition=main",
        "job_name={unique}&partition=zork",
        "job_name={unique}&users=nosuchuser",
        "job_name={unique}&skip_steps=true",
        "job_name={unique}&skip_steps=yes",
        "job_name={unique}&start_time=now-1hour",
        "job_name={unique}&start_time=2000000000",
        "job_name={unique}&start_time=zork",
        "job_name={unique}&end_time=1000000000",
        "job_name={unique}&node=n%5B1-4%5D",
        "job_name={unique}&node=zork",
        "job_name={unique}&zork=1",
        "job_name={unique}&qos=normal",
        "job_name={unique}&exit_code=3",
        "job_name={unique}&constraints=intel",
        f"step={job}",
        f"step={job},{waiting}",
        f"step={job}.batch",
        "step=abc",
        "step=9999999",
        "job_name={unique}&wckey=x",
        "job_name={unique}&reservation=x",
        "job_name={unique}&show_batch_script=true",
        "job_name={unique}&show_job_environment=true",
    ):
        one.ask(f"jobs by {query}", "GET", f"{DB}/jobs/?{query}")
    for number in (waiting, array):
        one.ask("cancelled", "DELETE", f"{V44}/job/{number}")


def the_book(one: Play) -> None:
    for path in (
        *("users/", "user/root", "user/root?with_assocs", "user/root?with_assocs=true&with_coords=true"),
        *("accounts/", "account/root", "account/root?with_assocs=true", "associations/", "associations/?user=root"),
        *(
            "association/?user=root",
            "association/?account=zork",
            "association/",
            "qos/",
            "qos/normal",
            "qos/?name=zork",
        ),
        *("clusters/", "tres/", "wckeys/", "wckey/1", "instances/", "instance/", "users/?with_assocs=zork"),
        *("users/?admin_level=Administrator", "users/?admin_level=zork", "accounts/?description=zork", "users/?zork=1"),
    ):
        one.ask(path, "GET", f"{DB}/{path}")
        one.ask(f"{path} in v0.0.41", "GET", f"/slurmdb/v0.0.41/{path}")


def writing_the_book(one: Play) -> None:
    def put(label: str, path: str, body: Any, *, as_root: bool = True) -> None:
        one.ask(label, "POST", f"{DB}/{path}/", body, as_root=as_root)

    def gone(path: str, *, as_root: bool = True) -> None:
        one.ask(f"DELETE {path}{'' if as_root else ' as a plain user'}", "DELETE", f"{DB}/{path}", as_root=as_root)

    account = {"name": "ra", "description": "d", "organization": "o"}
    many: dict[str, Any] = {"accounts": ["rb", "rc"]}
    person: dict[str, Any] = {"accounts": ["rb"], "users": ["ru"]}
    limits: dict[str, Any] = {
        "max": {
            "jobs": {"active": {"set": True, "number": 4}, "per": {"wall_clock": {"set": True, "number": 60}}},
            "tres": {"total": [{"type": "cpu", "count": 8}], "per": {"job": [{"type": "mem", "count": 500}]}},
        },
        "comment": "c",
        "shares_raw": 7,
        "default": {"qos": "normal"},
        "qos": ["normal"],
    }
    quality = {
        "name": "rq",
        "description": "x",
        "priority": {"set": True, "number": 5},
        "limits": {"max": {"jobs": {"active_jobs": {"per": {"user": {"set": True, "number": 3}}}}}},
        "flags": ["DENY_LIMIT"],
        "preempt": {"list": ["normal"], "mode": ["CANCEL"]},
    }
    for path, body in (
        ("accounts", {"accounts": [account]}),
        ("users", {"users": [{"name": "rz"}]}),
        ("qos", {"qos": [quality]}),
        ("clusters", {"clusters": [{"name": "zork"}]}),
        ("users_association", {"association_condition": person, "user": {}}),
    ):
        put(f"{path} by a plain user", path, body, as_root=False)
        put(f"{path} without what is to be listed", path, {})
        put(f"no {path}", path, "")
    put("an account", "accounts", {"accounts": [account]})
    one.ask("the account", "GET", f"{DB}/account/ra?with_assocs")
    put("accounts that are not whole", "accounts", {"accounts": [{"name": "ra"}]})
    put("accounts without a name", "accounts", {"accounts": [{"description": "x"}]})
    put("an empty list of accounts", "accounts", {"accounts": []})
    put("accounts in the tree", "accounts_association", {"association_condition": many, "account": {}})
    put("the same again", "accounts_association", {"association_condition": many})
    put(
        "one below another",
        "accounts_association",
        {"association_condition": {"accounts": ["rd"], "association": {"parent": "rb", "fairshare": 5}}},
    )
    one.ask("its association", "GET", f"{DB}/associations/?account=rd")
    put("a user in an account", "users_association", {"association_condition": person, "user": {}})
    put("a user once more", "users_association", {"association_condition": person, "user": {}})
    one.ask("the user", "GET", f"{DB}/user/ru?with_assocs")
    place = {"account": "rc", "user": "ru", "cluster": "slurm2511", **limits}
    put("an association", "associations", {"associations": [place]})
    put("an empty association", "associations", {"associations": [{}]})
    put("an association without a user", "associations", {"associations": [{"account": "rc"}]})
    put("an operator", "users", {"users": [{"name": "ru", "administrator_level": ["Operator"]}]})
    one.ask("the association", "GET", f"{DB}/associations/?account=rc&user=ru")
    one.ask("the operator", "GET", f"{DB}/user/ru?with_assocs")
    put("a user alone", "users", {"users": [{"name": "rv", "administrator_level": ["Administrator"]}]})
    one.ask("the user alone", "GET", f"{DB}/user/rv?with_assocs")
    put("a user without a name", "users", {"users": [{}]})
    put("an account described anew", "accounts", {"accounts": [{**account, "name": "rb", "description": "new"}]})
    one.ask("as it is described", "GET", f"{DB}/account/rb")
    put("a QOS", "qos", {"qos": [quality]})
    one.ask("the QOS", "GET", f"{DB}/qos/rq")
    put("a QOS with another limit", "qos", {"qos": [{"name": "rq", "priority": {"set": True, "number": 9}}]})
    one.ask("the QOS after that", "GET", f"{DB}/qos/rq")
    put("a QOS without a name", "qos", {"qos": [{}]})
    put("a QOS of an unknown number", "qos", {"qos": [{"id": 7777}]})
    put("no clusters named", "clusters", {"clusters": [{}]})
    put("TRES", "tres", {"TRES": [{"type": "gres", "name": "zz"}]})
    for path in ("user/root", "account/root", "qos/normal", "associations/?account=rb", "cluster/zork"):
        gone(path, as_root=False)
    for path in ("association/?account=rd", "association/?account=zork", "account/rd", "account/rd", "account/zork"):
        gone(path)
    for path in ("user/ru", "user/rv", "user/zork", "qos/rq", "qos/zork", "account/rb", "account/rc", "account/ra"):
        gone(path)
    one.ask("nothing is left", "GET", f"{DB}/associations/?account=rb")


def writing_reservations(one: Play) -> None:
    url = f"{V44}/reservation"

    def put(label: str, body: Any, *, as_root: bool = True) -> None:
        one.ask(label, "POST", url, body, as_root=as_root)

    whole: dict[str, Any] = {
        "name": "rx",
        "start_time": {"set": True, "number": 2000000000},
        "duration": {"set": True, "number": 60},
        "users": ["root"],
        "node_list": ["n3"],
        "flags": ["IGNORE_JOBS"],
    }
    put("by a plain user", whole, as_root=False)
    put("a reservation", whole)
    one.ask("it", "GET", f"{url}/rx")
    put("shorter", {"name": "rx", "duration": {"set": True, "number": 30}})
    one.ask("it, shorter", "GET", f"{url}/rx")
    put("another's user", {"name": "rx", "users": ["nosuchuser"]})
    for label, change in (
        ("over another", {}),
        ("on no node", {"node_list": ["zork"]}),
        ("without a start", {"start_time": None}),
        ("without an end", {"duration": None}),
        ("for nobody", {"users": None}),
        ("on nothing", {"node_list": None}),
        ("with an unknown flag", {"flags": ["ZORK"]}),
        ("without a name", {"name": None}),
    ):
        put(label, {name: value for name, value in {**whole, "name": "ry", **change}.items() if value is not None})
    put("nothing", "")
    put("names for lists", {**whole, "name": "ry", "users": "root", "node_list": "n4"})
    one.ask("several", "POST", f"{V44}/reservations/", {"reservations": []}, as_root=True)
    one.ask("several that are none", "POST", f"{V44}/reservations/", {}, as_root=True)
    by_number = {**whole, "name": "rz", "node_count": {"set": True, "number": 1}, "partition": "short"}
    del by_number["node_list"]
    one.ask("by number", "POST", f"{V44}/reservations/", {"reservations": [by_number]}, as_root=True)
    one.ask("deleted by a plain user", "DELETE", f"{url}/rx")
    for name in ("rx", "rx", "ry", "rz", "zork"):
        one.ask(f"{name} deleted", "DELETE", f"{url}/{name}", as_root=True)
    one.ask("none is left", "GET", f"{V44}/reservations/")


SUBJECTS: Mapping[str, Callable[[Play], None]] = {
    "who asks": who_asks,
    "kinds of content": kinds_of_content,
    "others' jobs": others_jobs,
    "many at once": many_at_once,
    "history": history,
    "the book": the_book,
    "writing the book": writing_the_book,
    "reservations": writing_reservations,
    "nodes": nodes,  # last: what was down is not asked at once
}
