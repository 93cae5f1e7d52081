"""Is it true? The scripts of tests/scripts on a real Slurm: `python -m tests.e2e.slurm_scripts [NAME...]`.

Needs SLURM_BUNDLE and root; prints what differs from the expectations.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from adapters.slurm import hostlist
from tests.e2e import cases, harness, reference

OTHERWISE_THERE = {
    "time-days-and-hours": "the bundle's partition has a limit of a day, ours has none",
    "two-components": "a real Slurm runs jobs of several components",
}
"""What cannot agree, and why."""


def main(names: list[str]) -> int:
    bundle = reference.bundle()
    if bundle is None:
        print("SLURM_BUNDLE does not name the bundle of a real Slurm, or this is not root", file=sys.stderr)
        return 2
    slurm = reference.Slurm(bundle)
    root = Path(tempfile.mkdtemp(prefix="bridge-slurm-"))
    root.chmod(0o755)
    problems: list[str] = []
    submitted: list[tuple[cases.Case, Path, int]] = []
    for case in cases.load():
        if case.name in OTHERWISE_THERE or (names and case.name not in names):
            continue
        directory = _prepare(root, case, slurm)
        stdin = case.script if case.stdin else b""
        ran = slurm.run("sbatch", *case.words, cwd=directory, stdin=stdin, env=case.env, umask=case.umask)
        if case.refused:
            if (ran.code, ran.err) != (case.refused["code"], case.refused["stderr"]):
                problems.append(f"{case.name}: {ran}")
        elif ran.code:
            problems.append(f"{case.name}: refused: {ran.err}")
        else:
            submitted.append((case, directory, int(ran.out.split()[-1])))
    for case, directory, job_id in submitted:
        records = _wait(slurm, job_id, case.again)
        told = cases.differences_of_end(case, records)
        nodes = list(hostlist.expand(records[0]["NodeList"]))
        told += cases.differences_of_files(
            case, directory, job_id=job_id, user=slurm.user.name, nodes=nodes, called=nodes
        )
        problems += [f"{case.name}: {problem}" for problem in told]
    shutil.rmtree(root)
    print("\n".join([*problems, f"{len(submitted)} jobs, {len(problems)} differences"]))
    return 1 if problems else 0


def _prepare(root: Path, case: cases.Case, slurm: reference.Slurm) -> Path:
    directory = root / case.name
    directory.mkdir()
    (directory / case.script_name).write_bytes(case.script)
    for path in (directory, directory / case.script_name):
        os.chown(path, slurm.user.uid, slurm.user.gid)
    return directory


def _wait(slurm: reference.Slurm, job_id: int, again: bool) -> list[dict[str, str]]:
    deadline = time.monotonic() + 90
    while True:
        records = slurm.show(job_id)
        for waiting in cases.requeued(records) if again else ():
            slurm.run("scontrol", "update", f"JobId={waiting}", "StartTime=now")
        if all(record["JobState"] in harness.FINAL for record in records) or time.monotonic() > deadline:
            return records
        time.sleep(0.2)  # slurmctld has no events to wait for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
