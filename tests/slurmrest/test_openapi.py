"""/openapi/v3: what we say we serve is what we serve."""

from adapters.slurm.rest import openapi, tables
from adapters.slurm.rest.shapes import VERSIONS
from tests.slurmrest.schemas import Schemas, a_busy_world, asked
from tests.slurmrest.world import ROOT, a_world
from tests.store.support import in_loop


@in_loop
async def test_our_answers_keep_to_our_schema(url: str) -> None:
    schemas = Schemas(openapi.document())
    async with a_world(url) as world:
        await a_busy_world(world)
        client = await world.client(ROOT)
        for version in VERSIONS:
            for named, method, address, body in asked(version):
                answer = await client.request(method, address, json=body)
                if answer.status_code != 304:
                    schemas.check(named, method, answer.status_code, answer.json())


@in_loop
async def test_the_document_is_served_and_names_every_path(url: str) -> None:
    async with a_world(url) as world:
        status, document = await world.call("GET", "/openapi/v3")
        assert status == 200
        served = {(path.half, path.method, path.path) for path in tables.PATHS}
        told = {
            (tag, method.upper(), address.split("/", 3)[3].strip("/"))
            for address, operations in document["paths"].items()
            for method, operation in operations.items()
            for tag in operation["tags"]
        }
        assert told == served
