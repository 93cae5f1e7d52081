"""snakemake with its Slurm executor: ten rules and their dependencies, a retry, arrays, both ways to ask for states."""

import re
import signal
import subprocess
from pathlib import Path

import ordinary

TEN_RULES = """
rule all:
    input: "report.txt", "mpi.txt"

rule prepare:
    output: "data/{n}.txt"
    shell: "echo {wildcards.n} > {output}"

rule square:
    input: "data/{n}.txt"
    output: "squares/{n}.txt"
    threads: 2
    shell: "echo $(( $(cat {input}) * $(cat {input}) )) > {output}; echo $SLURM_CPUS_PER_TASK >> threads.txt"

rule unsteady:
    input: "squares/3.txt"
    output: "unsteady.txt"
    resources: mem_mb=lambda wildcards, attempt: 400 + 100 * attempt
    shell: "echo $SLURM_JOB_ID {resources.mem_mb} >> tries; test $(wc -l < tries) -ge 2 && cp {input} {output}"

rule total:
    input: expand("squares/{n}.txt", n=[1, 2, 3])
    output: "total.txt"
    run:
        with open(output[0], "w") as file:
            file.write(str(sum(int(open(name).read()) for name in input)))

rule longer:
    input: "total.txt"
    output: "longer.txt"
    resources: runtime="2m", slurm_extra="'--nice=5 --mail-type=FAIL'"
    shell: "sleep 1; cp {input} {output}"

rule elsewhere:
    input: "total.txt"
    output: "elsewhere.txt"
    resources: slurm_partition="short", constraint="ib", mem_mb_per_cpu=500, runtime=2
    shell: "echo $SLURM_JOB_PARTITION $SLURM_JOB_NODELIST > {output}"

rule accelerated:
    input: "total.txt"
    output: "accelerated.txt"
    resources: slurm_partition="gpu", gpu=1
    shell: "echo $SLURM_JOB_PARTITION $SLURM_GPUS > {output}"

rule over_nodes:
    input: "total.txt"
    output: "mpi.txt"
    resources: mpi="srun", tasks=2, nodes=2
    shell: "{resources.mpi} -n {resources.tasks} sh -c 'echo $SLURM_PROCID of $SLURM_NTASKS' > {output}"

rule logged:
    input: "total.txt"
    output: "logged.txt"
    log: "logs/logged.log"
    shell: "(echo noted; cp {input} {output}) > {log} 2>&1"

rule report:
    input: "unsteady.txt", "longer.txt", "elsewhere.txt", "accelerated.txt", "logged.txt"
    output: "report.txt"
    shell: "cat {input} > {output}"
"""

FOUR_OF_A_KIND = """
rule all:
    input: expand("squares/{n}.txt", n=range(1, 5))

rule prepare:
    output: expand("data/{n}.txt", n=range(1, 5))
    shell: "for n in 1 2 3 4; do echo $n > data/$n.txt; done"

rule square:
    input: "data/{n}.txt"
    output: "squares/{n}.txt"
    shell: "echo $(( $(cat {input}) * $(cat {input}) )) ${{SLURM_ARRAY_JOB_ID-alone}} > {output}"
"""
"""All four may begin at once, which is when the executor makes an array of them."""

ONE_THAT_FAILS = """
rule broken:
    output: "never.txt"
    shell: "echo sad; exit 3"
"""

LONG_AND_SHORT = """
rule all:
    input: "long.txt", "brief.txt"

rule long:
    output: "long.txt"
    threads: 4
    resources: runtime=20
    shell: "touch {output}"

rule brief:
    output: "brief.txt"
    threads: 4
    resources: runtime=4
    shell: "touch {output}"
"""

TWO_THAT_LAST = """
rule all:
    input: "a.txt", "b.txt"

rule lasts:
    output: "{name}.txt"
    shell: "touch {wildcards.name}-began; sleep 300"
"""


def command(folder: Path, workflow: str, *words: str) -> list[str]:
    (folder / "Snakefile").write_text(workflow)
    return [
        *("snakemake", "--executor", "slurm", "--jobs", "10", "--latency-wait", "2"),
        *("--default-resources", "mem_mb=600", "runtime=10", "disk_mb=10"),
        *("--slurm-init-seconds-before-status-checks", "1", "--max-status-checks-per-second", "5"),
        *words,
    ]


def snakemake(folder: Path, workflow: str, *words: str, code: int = 0) -> str:
    """What it says."""
    argv = command(folder, workflow, *words)
    ran = subprocess.run(argv, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert ran.returncode == code, f"exit status {ran.returncode}\n{ran.stdout}"
    return ran.stdout


def of_run(said: str, *fields: str) -> list[list[str]]:
    """Rows of sacct of the jobs of that run."""
    found = re.search(r"SLURM run ID: (\S+)", said)
    assert found is not None, said
    argv = ["sacct", "-X", "-n", "--parsable2", "--name", found[1], "--format", ",".join(fields)]
    return [line.split("|") for line in subprocess.check_output(argv, text=True).splitlines()]


def ten_rules(folder: Path) -> None:
    said = snakemake(folder, TEN_RULES, "--retries", "1", "--slurm-efficiency-report")
    read = {path.name: path.read_text() for path in folder.glob("*.txt")}
    assert read["total.txt"] == "14"
    assert read["threads.txt"] == "2\n" * 3
    assert read["elsewhere.txt"] == "short n1\n"
    assert sorted(read["mpi.txt"].splitlines()) == ["0 of 2", "1 of 2"]
    assert [line.split()[1] for line in (folder / "tries").read_text().splitlines()] == ["500", "600"]
    rows = of_run(said, "JobID", "State", "Comment", "Partition")
    assert sorted(row[1] for row in rows) == ["COMPLETED"] * 14 + ["FAILED"], rows
    assert [row[2] for row in rows if row[1] == "FAILED"] == ["rule_unsteady"]
    assert "rule_square_wildcards_2" in {row[2] for row in rows}, rows
    assert len(list(folder.glob("efficiency_report_*.csv"))) == 1, said


def job_arrays(folder: Path) -> None:
    """Asked of sacct. The last task has the array's id, and the executor takes its state for that of all others, so
    that it may look for files before they are there: it is told to wait for them. Each task also goes through the
    first one's job (`run_array_jobs` of the executor), and may take its file away from under it: that is tried again.
    """
    words = (
        "--slurm-array-jobs",
        "square",
        "--latency-wait",
        "60",
        "--slurm-status-command",
        "sacct",
        "--retries",
        "2",
    )
    said = snakemake(folder, FOUR_OF_A_KIND, *words)
    squares = [(folder / f"squares/{n}.txt").read_text().split() for n in range(1, 5)]
    assert [row[0] for row in squares] == ["1", "4", "9", "16"]
    assert any(row[1].isdigit() for row in squares), squares
    rows = of_run(said, "JobID", "State")
    assert {row[1] for row in rows} <= {"COMPLETED", "FAILED"}, rows
    arrays = {row[0].split("_")[0] for row in rows if "_" in row[0]}
    assert {f"{min(arrays, key=int)}_{task}" for task in range(1, 5)} <= {row[0] for row in rows}, rows


def ten_rules_with_arrays(folder: Path) -> None:
    """Asked of squeue, which tells of each task."""
    words = ("--retries", "2", "--slurm-array-jobs", "all", "--slurm-status-command", "squeue", "--latency-wait", "60")
    said = snakemake(folder, TEN_RULES, *words)
    assert (folder / "total.txt").read_text() == "14"
    rows = of_run(said, "JobID", "State", "Comment")
    assert {row[1] for row in rows} == {"COMPLETED", "FAILED"}, rows
    assert ["FAILED", "rule_unsteady"] in [row[1:] for row in rows], rows
    assert sum("_" in row[0] for row in rows) >= 3, rows


def scripts_by_standard_input_and_names(folder: Path) -> None:
    words = ("--slurm-pass-command-as-script", "--slurm-jobname-prefix", "mine", "--slurm-keep-successful-logs")
    said = snakemake(folder, FOUR_OF_A_KIND, *words, "squares/2.txt")
    rows = of_run(said, "State", "JobName")
    assert [row[0] for row in rows] == ["COMPLETED"] * 2, rows
    assert all(row[1].startswith("mine_") for row in rows), rows
    assert len(list((folder / ".snakemake/slurm_logs").rglob("*.log"))) == 2


def a_rule_that_fails(folder: Path) -> None:
    said = snakemake(folder, ONE_THAT_FAILS, "--slurm-requeue", code=1)
    assert "SLURM status is: 'FAILED'" in said, said
    (log,) = (folder / ".snakemake/slurm_logs/rule_broken").glob("*.log")
    assert "sad" in log.read_text()


def a_partition_for_each_rule(folder: Path) -> None:
    """From a file that a tool of the executor's made of `scontrol show partition`; what is closed was struck out."""
    subprocess.check_call(["generate-slurm-partition-config", "-o", "partitions.yaml"], cwd=folder)
    made = (folder / "partitions.yaml").read_text()
    assert re.findall(r"^  (\w+):", made, re.MULTILINE) == ["closed", "gpu", "main", "short"], made
    (folder / "partitions.yaml").write_text(re.sub(r"  closed:\n(    .*\n)*", "", made))
    said = snakemake(folder, LONG_AND_SHORT, "--slurm-partition-config", "partitions.yaml")
    where = {comment: (partition, state) for comment, partition, state in of_run(said, "Comment", "Partition", "State")}
    assert where["rule_brief"] == ("short", "COMPLETED"), where
    assert where["rule_long"] in {("main", "COMPLETED"), ("gpu", "COMPLETED")}, where


def interrupted(folder: Path) -> None:
    with (folder / "said").open("w") as said:
        running = subprocess.Popen(command(folder, TWO_THAT_LAST), cwd=folder, stdout=said, stderr=said)
    ordinary.until(lambda: len(list(folder.glob("*-began"))) == 2, (folder / "said").read_text, 90)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) != 0
    assert subprocess.check_output(["squeue", "--me", "-h", "-t", "PD,R"], text=True) == "", (
        folder / "said"
    ).read_text()


if __name__ == "__main__":
    ordinary.run(
        ten_rules,
        job_arrays,
        ten_rules_with_arrays,
        scripts_by_standard_input_and_names,
        a_rule_that_fails,
        a_partition_for_each_rule,
        interrupted,
    )
