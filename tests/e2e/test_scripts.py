"""Scripts as people write them, run by a real bridge: the request, the end, the files."""

import contextlib
import os
from pathlib import Path

import pytest

from adapters.slurm import hostlist
from adapters.slurm import request as sbatch
from bridge import settings, settings_cluster
from bridge.core import users
from tests.e2e import cases, harness

CASES = cases.load()
ACCEPTED = [case for case in CASES if case.ends]
REFUSED = [case for case in CASES if case.refused]
NOW = 1_700_000_000.0


def _name(case: cases.Case) -> str:
    return case.name


@pytest.fixture(scope="module")
def submitted(each_bridge: harness.Bridge) -> dict[str, tuple[Path, harness.Ran]]:
    """All at once, so that they run beside each other: name → directory and what sbatch answered."""
    answers = {}
    for case in ACCEPTED:
        directory = _prepare(each_bridge, case)
        answers[case.name] = directory, _run(each_bridge, case, directory)
    return answers


def _prepare(bridge: harness.Bridge, case: cases.Case) -> Path:
    directory = bridge.work / case.name
    directory.mkdir()
    (directory / case.script_name).write_bytes(case.script)
    with contextlib.suppress(PermissionError):  # not root: everything is one's own already
        os.chown(directory, bridge.user.uid, bridge.user.gid)
        os.chown(directory / case.script_name, bridge.user.uid, bridge.user.gid)
    return directory


def _run(bridge: harness.Bridge, case: cases.Case, directory: Path) -> harness.Ran:
    stdin = case.script if case.stdin else None
    return bridge.run("sbatch", *case.words, stdin=stdin, env=case.env, cwd=directory, umask=case.umask)


@pytest.mark.slow
@pytest.mark.parametrize("case", ACCEPTED, ids=_name)
def test_a_script_ends_and_writes_as_it_must(
    each_bridge: harness.Bridge, submitted: dict[str, tuple[Path, harness.Ran]], case: cases.Case
) -> None:
    directory, ran = submitted[case.name]
    assert (ran.err, ran.code) == ("", 0)
    job_id = int(ran.out.split()[-1])
    if case.again:
        for waiting in each_bridge.until(lambda: cases.requeued(each_bridge.show(job_id))):
            each_bridge.ok("scontrol", "update", f"JobId={waiting}", "StartTime=now")
    records = each_bridge.wait(job_id)
    problems = cases.differences_of_end(case, records)
    nodes = list(hostlist.expand(records[0]["NodeList"])) if len(records) == 1 else []
    called = each_bridge.called(job_id, *nodes)
    who = each_bridge.user.name
    problems += cases.differences_of_files(case, directory, job_id=job_id, user=who, nodes=nodes, called=called)
    assert problems == [], each_bridge.log_end(5)


@pytest.mark.parametrize("case", REFUSED, ids=_name)
def test_a_script_is_refused_in_the_words_of_sbatch(each_bridge: harness.Bridge, case: cases.Case) -> None:
    ran = _run(each_bridge, case, _prepare(each_bridge, case))
    assert (ran.out, ran.err, ran.code) == ("", case.refused["stderr"], case.refused["code"])


@pytest.mark.parametrize("case", ACCEPTED, ids=_name)
def test_a_script_gives_the_request_that_it_means(case: cases.Case) -> None:
    parsed = sbatch.read(_call(case), _site().site)
    assert isinstance(parsed, sbatch.Parsed), parsed
    assert {name: cases.field_of(parsed.request, name) for name in case.request} == case.request
    for piece in case.warnings:
        assert any(piece in warning for warning in parsed.report.warnings), parsed.report.warnings


def _site() -> settings.Settings:
    machine = settings_cluster.Machine(cores=4, memory_mib=16000, uid=1000, home="/home/tessa")
    return settings.read(harness.SITE, None, {}, machine)


def _call(case: cases.Case) -> sbatch.Call:
    user = users.User("tessa", 1000, 1000, (1000,), ("tessa",), "/home/tessa")
    where = "stdin" if case.stdin else f"script: {case.script_name}"
    return sbatch.Call(
        argv=tuple(case.words),
        environ={"HOME": user.home, "PATH": "/usr/bin:/bin", "USER": user.name, **case.env},
        working_directory="/home/tessa/work",
        umask=case.umask,
        rlimits=(),
        host="login1",
        user=user,
        is_root=False,
        now=NOW,
        files={where: case.script},
    )
