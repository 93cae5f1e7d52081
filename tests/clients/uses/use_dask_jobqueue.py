"""dask-jobqueue: a cluster of four workers, a computation, fewer workers, a worker that is lost, the end."""

import os
import subprocess
from pathlib import Path

import ordinary
from dask import distributed
from dask_jobqueue import SLURMCluster


def a_cluster(folder: Path, **more: object) -> SLURMCluster:
    return SLURMCluster(
        **{"queue": "main", "cores": 1, "processes": 1, "memory": "600MiB", "walltime": "00:20:00"} | more,
        log_directory=str(folder),
        local_directory=str(folder),
        scheduler_options={"dashboard_address": ":0"},
    )


def square(x: int) -> tuple[int, str]:
    return x * x, os.environ["SLURM_JOB_ID"]


def states() -> list[str]:
    """Of this user's jobs as squeue shows them, in order."""
    told = subprocess.check_output(["squeue", "--me", "--noheader", "--format=%T"], text=True)
    return sorted(told.split())


def wait_for_states(*wanted: str) -> None:
    ordinary.until(lambda: states() == sorted(wanted), lambda: f"{states()}, not {wanted}")


def four_workers(folder: Path) -> None:
    with a_cluster(folder, job_extra_directives=["--comment='of dask'", "--exclusive=user"]) as cluster:
        cluster.scale(jobs=4)
        with distributed.Client(cluster) as client:
            client.wait_for_workers(4, timeout=60)
            assert states() == ["RUNNING"] * 4
            found = client.gather(client.map(square, range(40)))
            assert [value for value, _ in found] == [n * n for n in range(40)]
            cluster.scale(jobs=1)
            wait_for_states("RUNNING")
            assert client.submit(square, 9).result(timeout=60)[0] == 81
    wait_for_states()
    assert list(folder.glob("dask-worker-*.out")) or list(folder.glob("slurm-*.out")), list(folder.iterdir())


def as_many_as_needed(folder: Path) -> None:
    with a_cluster(folder) as cluster:
        cluster.adapt(minimum_jobs=0, maximum_jobs=2, interval="500ms", wait_count=2)
        with distributed.Client(cluster) as client:
            total = client.submit(sum, client.map(lambda n: n + 1, range(10)))
            assert total.result(timeout=90) == 55
            del total
            wait_for_states()
    wait_for_states()


def more_than_fits(folder: Path) -> None:
    """Some workers wait in the queue, and go with the rest."""
    with a_cluster(folder, cores=4, processes=2, memory="1200MiB") as cluster:
        cluster.scale(jobs=5)
        with distributed.Client(cluster) as client:
            client.wait_for_workers(2, timeout=90)
            wait_for_states("PENDING", *["RUNNING"] * 4)
            assert client.submit(square, 3).result(timeout=60)[0] == 9
    wait_for_states()


if __name__ == "__main__":
    ordinary.run(four_workers, as_many_as_needed, more_than_fits)
