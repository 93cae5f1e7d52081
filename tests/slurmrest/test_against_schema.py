"""Every answer of ours against the schema that the real 25.11 serves: no field that it lacks, none of another type."""

from typing import Any

import pytest

from adapters.slurm.rest import openapi
from adapters.slurm.rest.shapes import VERSIONS
from tests.slurmrest.schemas import Schemas, a_busy_world, asked
from tests.slurmrest.world import ROOT, a_world
from tests.store.support import in_loop

pytestmark = pytest.mark.root


@pytest.mark.parametrize("version", VERSIONS)
def test_every_answer_keeps_to_the_real_schema(real_openapi: dict[str, Any], url: str, version: int) -> None:
    schemas = Schemas(real_openapi)

    @in_loop
    async def check() -> None:
        async with a_world(url) as world:
            await a_busy_world(world)
            client = await world.client(ROOT)
            for named, method, address, body in asked(version):
                if named.endswith("/jobs/state/"):
                    continue  # what slurmrestd sends there is not what its schema says
                answer = await client.request(method, address, json=body)
                if answer.status_code == 304:
                    continue  # there was nothing to delete
                assert answer.headers["content-type"] == "application/json", (address, answer.text)
                schemas.check(named, method, answer.status_code, answer.json())

    check()


def test_every_path_and_parameter_of_ours_is_one_of_the_real_ones(real_openapi: dict[str, Any]) -> None:
    ours = openapi.document()["paths"]
    for url, operations in ours.items():
        for method, operation in operations.items():
            theirs = real_openapi["paths"][url][method]
            assert operation["operationId"] == theirs["operationId"]
            names = {(one["in"], one["name"]) for one in operation["parameters"]}
            assert names == {(one["in"], one["name"]) for one in theirs.get("parameters", [])}, (url, method)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_description_has_the_fields_of_the_real_one(real_openapi: dict[str, Any], version: int) -> None:
    ours = openapi.document()["components"]["schemas"][f"v0.0.{version}_job_desc_msg"]["properties"]
    theirs = real_openapi["components"]["schemas"][f"v0.0.{version}_job_desc_msg"]["properties"]
    assert set(ours) == set(theirs)
