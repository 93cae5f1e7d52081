"""Is it true? The scripts of tests/scripts on a real Slurm: `python -m tests.e2e.slurm_scripts [NAME...]`.

Needs SLURM_BUNDLE and root. Starts a cluster of its own when none runs at BASE, and leaves it running.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e import cases, harness
from tests.e2e.person import Person

BASE = 34500


def environment(directory: Path) -> dict[str, str]:
    """Of a cluster started by the bundle: PATH and SLURM_CONF."""
    extra = directory / "extra.conf"
    extra.write_text("PartitionName=closed Nodes=n3 State=DOWN\n")
    start = Path(os.environ["SLURM_BUNDLE"]) / "start"
    told = subprocess.run(
        [start, "--dir", directory / "slurm", "--port-base", str(BASE), "--gpus", "4", "--dbd", "--extra", extra],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return dict(re.findall(r"export (\w+)=\"?([^\"\n;]*)\"?", told))


def main(names: list[str]) -> int:
    directory = Path("/var/tmp/bridge-slurm-scripts")
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    exported = environment(directory)
    path = exported["PATH"].replace("$PATH", os.environ["PATH"])
    entry = next(pwd.getpwnam(name) for name in ("bob", "nobody") if _is_known(name))
    user = Person(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)
    root = Path(tempfile.mkdtemp(prefix="bridge-slurm-"))
    root.chmod(0o755)
    told = 0
    submitted: list[tuple[cases.Case, Path, int]] = []
    base = {**user.environment(), "PATH": path, "SLURM_CONF": exported["SLURM_CONF"]}

    def run(*argv: str, **options: object) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(argv, capture_output=True, check=False, **{"env": base, **options})  # type: ignore[call-overload,no-any-return]

    for case in cases.load():
        if names and case.name not in names:
            continue
        work = root / case.name
        work.mkdir()
        os.chown(work, user.uid, user.gid)
        (work / case.script_name).write_bytes(case.script)
        os.chown(work / case.script_name, user.uid, user.gid)
        done = run(
            "sbatch",
            *case.words,
            cwd=work,
            input=case.script if case.stdin else b"",
            env={**base, **case.env},
            umask=case.umask,
            **user.popen_options(),
        )
        if case.refused:
            got = (done.returncode, done.stderr.decode())
            if got != (case.refused["code"], case.refused["stderr"]):
                told += 1
                print(f"{case.name}: {got}")
        elif done.returncode:
            told += 1
            print(f"{case.name}: refused: {done.stderr.decode()}")
        else:
            submitted.append((case, work, int(done.stdout.split()[-1])))
    for case, work, job_id in submitted:
        deadline = time.monotonic() + 60
        while True:
            blocks = run("scontrol", "show", "job", str(job_id)).stdout.decode().split("\n\n")
            records = [harness.read_record(block) for block in blocks if block.strip()]
            if all(record["JobState"] in harness.FINAL for record in records) or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        problems = cases.differences_of_end(case, records)
        problems += cases.differences_of_files(case, work, job_id=job_id, user=user.name)
        told += len(problems)
        for problem in problems:
            print(f"{case.name}: {problem}")
    shutil.rmtree(root)
    print(f"{len(submitted)} jobs, {told} differences")
    return 1 if told else 0


def _is_known(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
