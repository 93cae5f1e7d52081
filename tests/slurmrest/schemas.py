"""Answers held against an OpenAPI document, and a world that answers in every way."""

from collections.abc import Iterator
from typing import Any

import jsonschema

from adapters.slurm.rest import tables
from bridge.core.events import Began, Ended, Placed
from bridge.core.job import End, JobKey, JobState, Share
from tests.builders import NOON
from tests.slurmrest.world import SCRIPT, World, a_description

PROMISED_NOTHING = {"removed_users"}
"""What slurmrestd names in an answer although its schema has no place for it."""
BEYOND = {"node", "task"}
"""Where a TRES of a step was measured: slurmrestd writes it, its schema does not say so."""


def strict(schema: Any) -> Any:
    """The same schema, in which nothing is allowed that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(one) for name, one in schema.items()}
    if found.get("type") == "object" and "properties" in found:
        found["additionalProperties"] = False
        # `error/code` stands there for a field of a field; JSON Schema would look for that very name.
        found["required"] = sorted({name.partition("/")[0] for name in found.get("required", [])})
    return found


def without_exceptions(value: Any) -> Any:
    if isinstance(value, list):
        return [without_exceptions(one) for one in value]
    if not isinstance(value, dict):
        return value
    is_tres = {"type", "name", "id", "count"} <= set(value)
    return {
        name: without_exceptions(one)
        for name, one in value.items()
        if name not in PROMISED_NOTHING and not (is_tres and name in BEYOND)
    }


class Schemas:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._components = strict(document["components"])

    def check(self, url: str, method: str, status: int, answer: Any) -> None:
        responses = self._document["paths"][url][method.lower()]["responses"]
        content = responses.get(str(status), responses["default"])["content"]
        schema = {**strict(content["application/json"]["schema"]), "components": self._components}
        if answer["errors"]:  # slurmrestd itself then leaves out what its schema promises
            name = schema["$ref"].rpartition("/")[2]
            schema = {**self._components["schemas"][name], "required": [], "components": self._components}
        errors = sorted(
            jsonschema.Draft202012Validator(schema).iter_errors(without_exceptions(answer)), key=lambda e: str(e.path)
        )
        assert not errors, [f"{method} {url}: {'.'.join(map(str, e.absolute_path))}: {e.message}" for e in errors[:8]]


async def a_busy_world(world: World) -> None:
    """Jobs in every state that a schema could stumble over."""
    world.service.site = world.service.site.__class__(
        **{
            name: getattr(world.service.site, name)
            for name in world.service.site.__slots__
            if name != "min_job_age_seconds"
        },
        min_job_age_seconds=10**10,
    )
    await world.submitted(hold=True, comment="held", constraints="", excluded_nodes=["n1"], time_limit=-1)
    await world.submitted(array="0-5%2", tasks=1)
    await world.submitted(dependency="afterok:1", begin_time=2_000_000_000)
    running = await world.submitted(licenses="matlab:1", mail_type=["BEGIN", "TIME=90%"], shared=["none"])
    shares = (Share("n1", 2, 512, 2, (("gpu", "a100", (0, 1)),)), Share("n2", 2, 512, 0))
    await world.tell(str(running), Placed(NOON, shares), Began(NOON + 1, 1))
    for end in (End(3), End(signal=9), End(cause="time_limit", signal=15), End(max_rss_kib=4000, user_seconds=1.5)):
        ended = await world.submitted()
        await world.run(str(ended))
        await world.tell(str(ended), Ended(NOON + 20, 1, end))
    cancelled = await world.submitted(hold=True)
    await world.call("DELETE", f"/slurm/v0.0.44/job/{cancelled}")
    assert (await world.store.get(JobKey(running))).state is JobState.RUNNING  # type: ignore[union-attr]


def asked(version: int) -> Iterator[tuple[str, str, str, Any]]:
    """(path as the schema names it, method, address, body) of all that can be asked."""
    values = {
        "job_id": ["4", "9999"],
        "node_name": ["n1", "zork"],
        "partition_name": ["main", "zork"],
        "reservation_name": ["zork"],
        "name": ["root", "zork"],
        "account_name": ["root", "zork"],
        "qos": ["normal", "zork"],
        "cluster_name": ["oracle", "zork"],
    }
    bodies: dict[str, list[Any]] = {
        "post_job_submit": [
            {"script": SCRIPT, "job": a_description(hold=True)},
            {"script": SCRIPT, "job": a_description(partition="zork", zork=1)},
            {},
        ],
        "post_job_allocate": [{"job": a_description()}],
        "post_job": [{"comment": "x"}, {"partition": "zork"}, {"time_limit": "soon"}],
        "delete_jobs": [{"jobs": ["9999"]}, {}],
        "post_node": [{"state": ["DRAIN"], "reason": "x"}, {"state": ["ZORK"]}],
        "post_hostnames": [{"hostlist": "n[1-3]"}],
        "post_hostlist": [{"hostnames": ["n1", "n2"]}],
    }
    for path in tables.PATHS:
        if path.since > version:
            continue
        url = f"/{path.half}/v0.0.{version}/{path.path}{'/' if path.slash else ''}"
        for value in values.get(path.parameters[0], ["1"]) if path.parameters else [""]:
            address = url.replace(f"{{{path.parameters[0]}}}", value) if path.parameters else url
            for body in bodies.get(path.operation, [None]):
                yield url, path.method, address, body
