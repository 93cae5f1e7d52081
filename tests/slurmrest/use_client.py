"""What a program does with the client that openapi-python-client made: run by the interpreter that has its needs.

    python use_client.py FOLDER VERSION SOCKET TOKEN

FOLDER holds the package `client`, as it was generated; VERSION is such as `v0041`. Every answer is read into the
client's own types, whatever its status. Prints what was found, as JSON.
"""

import importlib
import inspect
import json
import sys
from typing import Any

folder, VERSION, socket_path, token = sys.argv[1:]
sys.path.insert(0, folder)

import httpx  # noqa: E402 — of the interpreter that runs this

client_module = importlib.import_module("client")
client = client_module.AuthenticatedClient(
    base_url="http://slurmrestd",
    token=token,
    prefix="",
    auth_header_name="X-SLURM-USER-TOKEN",
    httpx_args={"transport": httpx.HTTPTransport(uds=socket_path)},
)


def ask(half: str, name: str, *words: object, body: dict[str, Any] | None = None, **query: object) -> Any:
    """The answer in the client's own type; the body goes through its type too."""
    operation = importlib.import_module(f"client.api.{half}.{half}_{VERSION}_{name}").sync_detailed
    if body is not None:
        kinds = inspect.signature(operation).parameters["body"].annotation
        query["body"] = kinds.__args__[0].from_dict(body)
    return operation(*map(str, words), client=client, **query).parsed


def problems(answer: Any) -> list[int]:
    return [one.error_number for one in answer.errors]


def state(job: object) -> list[str]:
    return list(ask("slurm", "get_job", job).jobs[0].job_state)


found: dict[str, Any] = {}
found["ping"] = ask("slurm", "get_ping").pings[0].pinged

description = {
    "name": "made",
    "tasks": 2,
    "hold": True,
    "time_limit": {"set": True, "number": 7},
    "memory_per_node": {"set": True, "number": 100},
    "mail_type": ["END"],
    "current_working_directory": "/tmp",
    "environment": ["PATH=/usr/bin:/bin"],
    "standard_output": "/dev/null",
}
script = "#!/bin/sh\ntrue\n"
submitted = ask("slurm", "post_job_submit", body={"script": script, "job": description})
job = submitted.job_id
found["submit"] = problems(submitted)
array = ask("slurm", "post_job_submit", body={"script": script, "job": {**description, "array": "1-3%2"}})
after = {**description, "dependency": f"afterany:{job}"}
dependent = ask("slurm", "post_job_submit", body={"script": script, "job": after})

shown = ask("slurm", "get_job", job).jobs[0]
found["get"] = [shown.name, shown.time_limit.number, list(shown.job_state), shown.tasks.number, list(shown.mail_type)]
found["array"] = ask("slurm", "get_job", array.job_id).jobs[0].array_max_tasks.number
found["dependency"] = ask("slurm", "get_job", dependent.job_id).jobs[0].dependency == f"afterany:{job}(unfulfilled)"
wanted = {"comment": "by the client", "time_limit": {"set": True, "number": 5}}
found["update"] = problems(ask("slurm", "post_job", job, body=wanted))
shown = ask("slurm", "get_job", job).jobs[0]
found["updated"] = [shown.comment, shown.time_limit.number]
found["list"] = {job, array.job_id, dependent.job_id} <= {one.job_id for one in ask("slurm", "get_jobs").jobs}
found["cancel"] = problems(ask("slurm", "delete_job", job))
found["cancelled"] = state(job)
many = ask("slurm", "delete_jobs", body={"jobs": [str(array.job_id), str(dependent.job_id)]})
found["cancel many"] = [problems(many), state(array.job_id), state(dependent.job_id)]

# Not an unknown node or partition: slurmrestd leaves out there what its schema promises, and so do we.
found["errors"] = {
    "no such job": problems(ask("slurm", "get_job", 9999999)),
    "cancelling none": problems(ask("slurm", "delete_job", 9999999)),
    "changing none": problems(ask("slurm", "post_job", 9999999, body={"name": "x"})),
    "no such partition": problems(
        ask("slurm", "post_job_submit", body={"script": script, "job": {**description, "partition": "zork"}})
    ),
    "no script": problems(ask("slurm", "post_job_submit", body={"job": description})),
    "allocate": len(problems(ask("slurm", "post_job_allocate", body={"job": description}))),
}

nodes = ask("slurm", "get_nodes").nodes
found["nodes"] = [[one.name, list(one.state), one.cpus] for one in nodes]
found["node"] = ask("slurm", "get_node", nodes[0].name).nodes[0].name
partitions = ask("slurm", "get_partitions").partitions
found["partitions"] = [[one.name, one.nodes.configured] for one in partitions]
found["partition"] = ask("slurm", "get_partition", partitions[0].name).partitions[0].name
found["accounting"] = {
    "jobs": job in [one.job_id for one in ask("slurmdb", "get_jobs").jobs],
    "job": [list(one.state.current) for one in ask("slurmdb", "get_job", job).jobs],
    "users": [one.name for one in ask("slurmdb", "get_users").users],
    "user": [one.name for one in ask("slurmdb", "get_user", "root").users],
    "accounts": [one.name for one in ask("slurmdb", "get_accounts").accounts],
    "associations": [[one.account, one.user] for one in ask("slurmdb", "get_associations").associations],
    "qos": [one.name for one in ask("slurmdb", "get_qos").qos],
    "clusters": [one.name for one in ask("slurmdb", "get_clusters").clusters],
    "tres": [one.type_ for one in ask("slurmdb", "get_tres").tres],
}
found["others"] = {
    f"{half} {name}": problems(ask(half, name))
    for half, name in (
        ("slurm", "get_reservations"),
        ("slurm", "get_licenses"),
        ("slurm", "get_shares"),
        ("slurm", "get_diag"),
        ("slurmdb", "get_config"),
        ("slurmdb", "get_association"),
    )
}
print(json.dumps(found))
