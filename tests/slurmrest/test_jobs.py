"""job/submit, job/{id}, jobs and jobs/state over a real store: what slurmrestd 25.11 answers to the same requests."""

from typing import Any

from bridge.core.events import Ended
from bridge.core.job import End, JobKey
from tests.builders import NOON
from tests.slurmrest.world import ALICE, BOB, ROOT, SCRIPT, V44, a_description, a_number, a_world
from tests.store.support import in_loop

SUBMIT = f"{V44}/job/submit"
SUBMITTED = "slurm_submit_batch_job()"


def an_error(description: str, number: int, error: str, source: str = SUBMITTED) -> dict[str, Any]:
    return {"description": description, "error_number": number, "error": error, "source": source}


def refused(number: int, error: str) -> dict[str, Any]:
    return {"errors": [an_error("Batch job submission failed", number, error)], "warnings": []}


class TestSubmission:
    @in_loop
    async def test_a_job_is_on_disk_when_it_is_answered(self, url: str) -> None:
        async with a_world(url) as world:
            answer = await world.submit_rest(name="train", argv=["/x/train.sh", "a", "b c"], comment="c", nice=3)
            told = {"job_id": 1, "step_id": "batch", "job_submit_user_msg": "", "errors": [], "warnings": []}
            assert answer == (200, told)
            job = await world.store.get(JobKey(1))
            assert job is not None
            request = job.request
            assert (request.name, request.uid, request.gid, request.comment, request.nice) == (
                "train",
                1001,
                1001,
                "c",
                3,
            )
            assert (request.component.tasks, request.time_limit_seconds, request.submit_line) == (2, 300, None)
            assert (request.program.command, request.program.arguments) == ("/x/train.sh", ("a", "b c"))
            assert request.working_directory == request.submit_directory == "/home/alice"
            assert await world.store.script(JobKey(1)) == SCRIPT.encode()
            assert await world.store.environment(JobKey(1)) == b"PATH=/usr/bin:/bin"

    @in_loop
    async def test_the_script_may_stand_in_the_job(self, url: str) -> None:
        async with a_world(url) as world:
            status, told = await world.call("POST", SUBMIT, {"job": a_description(script="#!/bin/sh\ntrue\n")})
            assert (status, told["job_id"]) == (200, 1)
            assert await world.store.script(JobKey(1)) == b"#!/bin/sh\ntrue\n"

    @in_loop
    async def test_directives_of_the_script_are_not_read(self, url: str) -> None:
        async with a_world(url) as world:
            body = {"script": "#!/bin/sh\n#SBATCH -J other\n", "job": a_description()}
            assert (await world.call("POST", SUBMIT, body))[0] == 200
            assert (await world.shown(1))["name"] == "rest"

    @in_loop
    async def test_a_held_job_is_taken_with_a_warning(self, url: str) -> None:
        async with a_world(url) as world:
            status, told = await world.submit_rest(hold=True)
            text = "Job is in held state, pending scheduler release"
            assert (status, told["warnings"]) == (
                200,
                [
                    {"description": f"Job submission resulted in non-zero return code: {text}", "source": SUBMITTED},
                    {"description": text, "source": SUBMITTED},
                ],
            )

    @in_loop
    async def test_v41_tells_the_result_twice(self, url: str) -> None:
        async with a_world(url) as world:
            _, told = await world.submit_rest(version=41, hold=True)
            assert told["result"] == {
                "job_id": 1,
                "step_id": "batch",
                "error_code": 2042,
                "error": "Job is in held state, pending scheduler release",
                "job_submit_user_msg": "",
            }

    @in_loop
    async def test_what_slurmctld_would_refuse_is_refused_with_its_number(self, url: str) -> None:
        cases = [
            ({"partition": "nope"}, 2000, "Invalid partition name specified"),
            ({"constraints": "nope"}, 2029, "Invalid feature specification"),
            ({"array": "3-1"}, 2081, "Invalid job array specification"),
            ({"dependency": "afterok:99999999"}, 2038, "Job dependency problem"),
            ({"dependency": "foo"}, 2038, "Job dependency problem"),
            ({"licenses": "nope:3"}, 2048, "Invalid license specification"),
            ({"excluded_nodes": ["zz"]}, 2018, "Invalid node name specified"),
            ({"tres_per_node": "foo:1"}, 2115, "Invalid Trackable RESource (TRES) specification"),
            ({"memory_per_node": 99999999}, 2014, "Requested node configuration is not available"),
            ({"nice": -5}, 2123, "Invalid --nice value"),
            ({"user_id": "root"}, 2010, "Invalid user id"),
            ({"immediate": True}, 2078, "Job can not start immediately"),
            ({"environment": ...}, 2019, "I/O error writing script/environment to file"),
            ({"environment": []}, 2019, "I/O error writing script/environment to file"),
            (
                {"current_working_directory": ...},
                2063,
                "Job cannot be submitted without the current working directory specified.",
            ),
            ({"job_id": 77}, -1, "the bridge itself gives jobs their ids"),
        ]
        async with a_world(url) as world:
            for fields, number, text in cases:
                assert await world.submit_rest(**fields) == (500, refused(number, text)), fields

    @in_loop
    async def test_a_body_that_is_no_description_is_told_what_lacks(self, url: str) -> None:
        parsing, expected = "Query empty or not RFC7320 compliant", "Data parser expected a dictionary or object"
        cases: list[tuple[Any, int, dict[str, Any]]] = [
            ("", 422, an_error('Populated "script" field is required for job submission', 9000, parsing, "_job_post")),
            (
                {"script": SCRIPT},
                422,
                an_error(
                    'Specifying either "job" or "jobs" fields are required to submit job', 9000, parsing, "_job_post"
                ),
            ),
            (
                {"script": SCRIPT, "job": a_description(), "jobs": [a_description()]},
                422,
                an_error('Specify only one "job" or "jobs" fields but never both', 9000, parsing, "_job_post"),
            ),
            ("[1]", 500, an_error("Rejecting list when dictionary expected", 9209, expected, "#/")),
            ({"job": None}, 500, an_error("Rejecting null when dictionary expected", 9209, expected, "#/job/")),
        ]
        async with a_world(url) as world:
            for body, status, error in cases:
                assert await world.call("POST", SUBMIT, body) == (status, {"errors": [error], "warnings": []}), body
            assert await world.call("POST", SUBMIT, "{broken") == (400, "Failure during parsing")

    @in_loop
    async def test_several_components_are_refused_in_a_sentence(self, url: str) -> None:
        async with a_world(url) as world:
            body = {"script": SCRIPT, "jobs": [a_description(), a_description()]}
            status, told = await world.call("POST", SUBMIT, body)
            assert (status, told["errors"][0]["error_number"]) == (500, -1)
            assert "hetjob" in told["errors"][0]["error"]
            status, told = await world.call("POST", SUBMIT, {"script": SCRIPT, "jobs": [a_description()]})
            assert (status, told["job_id"]) == (200, 1)

    @in_loop
    async def test_a_field_whose_loss_changes_results_is_told_of(self, url: str) -> None:
        async with a_world(url) as world:
            _, told = await world.submit_rest(container="busybox")
            assert told["job_submit_user_msg"] == (
                "container=busybox: not obeyed: the script runs outside of any container"
            )
            assert (await world.shown(1))["container"] == "busybox"

    @in_loop
    async def test_only_an_operator_submits_for_another(self, url: str) -> None:
        async with a_world(url) as world:
            status, _ = await world.submit_rest(user=ROOT, user_id="bob")
            assert status == 200
            found = await world.shown(1)
            assert (found["user_name"], found["user_id"], found["mail_user"]) == ("bob", 1002, "bob")


class TestLooking:
    @in_loop
    async def test_an_unknown_job_is_404(self, url: str) -> None:
        async with a_world(url) as world:
            assert await world.call("GET", f"{V44}/job/9999") == (
                404,
                {
                    "jobs": [],
                    "last_backfill": a_number(0),
                    "last_update": a_number(0),
                    "errors": [
                        an_error("Unable to query JobId=9999", 2017, "Invalid job id specified", "_handle_job_get")
                    ],
                    "warnings": [],
                },
            )

    @in_loop
    async def test_ids_that_slurm_never_gives_are_refused_at_once(self, url: str) -> None:
        async with a_world(url) as world:
            for method in ("GET", "DELETE"):
                rejected = an_error(
                    "Invalid JobID=99999999 rejected", 2017, "Invalid job id specified", "op_handler_job"
                )
                assert await world.call(method, f"{V44}/job/99999999") == (404, {"errors": [rejected], "warnings": []})
                parsing = an_error(
                    "Rejecting request. Failure parsing parameters",
                    9000,
                    "Query empty or not RFC7320 compliant",
                    "op_handler_job",
                )
                for word in ("abc", "0", "-1"):
                    assert await world.call(method, f"{V44}/job/{word}") == (422, {"errors": [parsing], "warnings": []})

    @in_loop
    async def test_every_job_is_listed_for_everybody(self, url: str) -> None:
        async with a_world(url) as world:
            assert [await world.submitted(hold=True) for _ in range(3)] == [1, 2, 3]
            status, told = await world.call("GET", f"{V44}/jobs/", user=BOB)
            assert status == 200
            assert [(job["job_id"], job["job_state"], job["state_reason"]) for job in told["jobs"]] == [
                (number, ["PENDING"], "JobHeldUser") for number in (1, 2, 3)
            ]
            assert told["last_update"]["set"] is True

    @in_loop
    async def test_nothing_is_listed_that_has_not_changed_since(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(hold=True)
            status, told = await world.call("GET", f"{V44}/jobs?update_time=1999999999")
            assert (status, told["jobs"]) == (200, [])
            assert told["warnings"][0]["description"].startswith(
                "No job changes since update_time[1999999999]=2033-05-1"
            )

    @in_loop
    async def test_a_finished_job_is_told_with_its_end(self, url: str) -> None:
        async with a_world(url) as world:
            job_id = await world.submitted()
            await world.run(str(job_id))
            await world.tell(str(job_id), Ended(NOON + 20, 1, End(exit_status=3)))
            found = await world.call("GET", f"{V44}/job/{job_id}")
            assert found[0] == 404  # forgotten: it ended long ago
            world.service.site = world.service.site.__class__(min_job_age_seconds=10**10)
            shown = await world.shown(job_id)
            assert (shown["job_state"], shown["state_reason"]) == (["FAILED"], "NonZeroExitCode")
            assert shown["exit_code"] == {
                "status": ["ERROR"],
                "return_code": a_number(3),
                "signal": {"id": a_number(None), "name": ""},
            }

    @in_loop
    async def test_states_name_every_task_of_an_array(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(array="0-2", hold=True)
            await world.submitted(hold=True)
            waiting = [{"job_id": f"1_{index}", "state": ["PENDING"]} for index in range(3)]
            answer = await world.call("GET", f"{V44}/jobs/state/?job_id=1")
            assert answer == (200, {"jobs": waiting, "errors": [], "warnings": []})
            _, told = await world.call("GET", f"{V44}/jobs/state/")
            assert told["jobs"] == [*waiting, {"job_id": "4", "state": ["PENDING"]}]
            assert await world.call("GET", f"{V44}/jobs/state/?job_id=99") == (
                200,
                {"jobs": [], "errors": [], "warnings": []},
            )

    @in_loop
    async def test_an_array_is_one_record_until_its_tasks_do_something(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(array="0-5%2")
            shown = await world.shown(1)
            assert (shown["array_job_id"], shown["array_task_id"], shown["array_max_tasks"]) == (
                a_number(1),
                a_number(None),
                a_number(2),
            )
            assert shown["array_task_string"] == "0-5%2"


class TestCancelling:
    @in_loop
    async def test_a_job_is_cancelled(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(hold=True)
            assert await world.call("DELETE", f"{V44}/job/1") == (200, {"status": [], "errors": [], "warnings": []})
            assert (await world.shown(1))["job_state"] == ["CANCELLED"]
            _, told = await world.call("DELETE", f"{V44}/job/1")
            assert told["status"] == [
                {
                    "error": {
                        "string": "Job/step already completing or completed",
                        "code": 2021,
                        "message": "Job/step already completing or completed",
                    },
                    "step_id": "1",
                    "job_id": a_number(1),
                    "federation": {"sibling": ""},
                }
            ]

    @in_loop
    async def test_an_unknown_and_anothers_job_are_told_in_the_status(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(hold=True)
            unknown = await world.call("DELETE", f"{V44}/job/9999")
            others = await world.call("DELETE", f"{V44}/job/1", user=BOB)
            assert [
                (status, [(one["error"]["code"], one["step_id"], one["job_id"]) for one in told["status"]])
                for status, told in (unknown, others)
            ] == [(200, [(2017, "9999", a_number(None))]), (200, [(2002, "1", a_number(1))])]
            assert (await world.shown(1))["job_state"] == ["PENDING"]

    @in_loop
    async def test_a_signal_that_is_none_does_nothing(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(hold=True)
            status, told = await world.call("DELETE", f"{V44}/job/1?signal=ZORK")
            assert (status, told["status"], told["errors"][0]["description"]) == (200, [], "Unknown signal (null)")
            assert (await world.shown(1))["job_state"] == ["PENDING"]

    @in_loop
    async def test_a_signal_to_a_waiting_job_is_refused(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(hold=True)
            _, told = await world.call("DELETE", f"{V44}/job/1?signal=USR1")
            assert told["status"][0]["error"]["code"] == 2020


class TestChanging:
    @in_loop
    async def test_fields_of_a_waiting_job_are_replaced(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(hold=True, comment="old", dependency="")
            body = {
                "name": "new",
                "comment": "",
                "time_limit": {"set": True, "number": 9},
                "nodes": "2",
                "tasks": 4,
                "excluded_nodes": ["n1"],
                "standard_output": "o",
                "extra": "x",
            }
            assert await world.call("POST", f"{V44}/job/1", body) == (
                200,
                {"results": [], "errors": [], "warnings": []},
            )
            shown = await world.shown(1)
            assert {
                name: shown[name] for name in ("name", "comment", "excluded_nodes", "standard_output", "extra")
            } == {
                "name": "new",
                "comment": "",
                "excluded_nodes": "n1",
                "standard_output": "o",
                "extra": "x",
            }
            assert (shown["time_limit"], shown["node_count"], shown["tasks"]) == (a_number(9), a_number(2), a_number(4))

    @in_loop
    async def test_hold_and_release(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted()
            assert (await world.call("POST", f"{V44}/job/1", {"hold": True}))[0] == 200
            assert (await world.shown(1))["priority"] == a_number(0)
            assert (await world.call("POST", f"{V44}/job/1", {"hold": False}))[0] == 200
            assert (await world.shown(1))["priority"] == a_number(1)

    @in_loop
    async def test_what_cannot_be_changed_is_told_with_slurms_number(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(hold=True)
            await world.submitted()
            await world.run("2")
            cases: list[tuple[Any, str, dict[str, Any], int, int]] = [
                (ALICE, "1", {"partition": "nope"}, 500, 2000),
                (ALICE, "1", {"dependency": "zork"}, 500, 2038),
                (ALICE, "9999", {"name": "x"}, 404, 2017),
                (BOB, "1", {"name": "x"}, 500, 2010),
                (ALICE, "1", {"priority": 500}, 500, 2042),
                (ALICE, "2", {"tasks": 4}, 500, 2073),
            ]
            for user, job_id, body, status, number in cases:
                answer = await world.call("POST", f"{V44}/job/{job_id}", body, user=user)
                errors = answer[1]["errors"]
                assert (answer[0], [one["error_number"] for one in errors]) == (status, [number]), (body, answer)
                assert (errors[0]["description"], errors[0]["source"]) == (
                    "Job update requested failed",
                    "slurm_update_job2()",
                )

    @in_loop
    async def test_a_task_is_changed_by_its_array_only(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(array="0-2", hold=True)
            status, told = await world.call("POST", f"{V44}/job/1_1", {"name": "x"})
            assert (status, told["errors"][0]["error_number"]) == (422, 9000)

    @in_loop
    async def test_a_body_that_cannot_be_read_is_told_twice(self, url: str) -> None:
        async with a_world(url) as world:
            await world.submitted(hold=True)
            status, told = await world.call("POST", f"{V44}/job/1", {"time_limit": "soon"})
            assert (status, [one["error_number"] for one in told["errors"]]) == (500, [9202, 9000])
