"""`python -m tests.bench [NAME...]`: measure; without a name everything, with a table at the end.

Each benchmark prints JSON lines, the last one its figure: name, value, unit, yardstick (a real Slurm's in the
same run; null without SLURM_BUNDLE and root), ratio (over 1 is better). One at a time, on a machine at rest.
"""

import sys
import traceback
from collections.abc import Callable

from tests.bench import commands, jobs, kubernetes, kubernetes_arrays, memory, mpi, slurmrest, srun_output, submissions
from tests.bench.figure import Figure
from tests.cluster import ground

BENCHMARKS: dict[str, Callable[[], Figure]] = {
    "submit-http": submissions.submit_http,
    "submit-cli": commands.submit_cli,
    "slurmrest": slurmrest.slurmrest,
    "squeue-5k": commands.squeue_5k,
    "latency": jobs.latency,
    "array": jobs.array,
    "srun-output": srun_output.srun_output,
    "mpi-start": mpi.mpi_start,
    "kube-submit": kubernetes.kube_submit,
    "kube-latency": kubernetes.kube_latency,
    "kube-seen": kubernetes.kube_seen,
    "kube-requests": kubernetes.kube_requests,
    "kube-array-run": kubernetes_arrays.kube_array_run,
    "kube-array": kubernetes_arrays.kube_array,
    "memory": memory.memory,
    "memory-1m": memory.memory_1m,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]}: there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    figures, failed = [], []
    for name in names or _possible():
        try:
            figures.append(BENCHMARKS[name]())
        except Exception:
            traceback.print_exc()
            failed.append(name)
        else:
            print(figures[-1].line(), flush=True)
    if not names:
        _table(figures)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _possible() -> list[str]:
    """All of them; those on a real Kubernetes only where there can be one."""
    missing = ground.missing()
    if missing:
        print(f"left out: kube-*: {missing}", file=sys.stderr)
    return [name for name in BENCHMARKS if not (missing and name.startswith("kube-"))]


def _table(figures: list[Figure]) -> None:
    print(f"{'name':14} {'value':>12} {'unit':22} {'real Slurm':>12} {'ratio':>7}")
    for one in figures:
        yardstick = "-" if one.yardstick is None else f"{one.yardstick:.2f}"
        ratio = "-" if one.ratio is None else f"{one.ratio:.2f}"
        print(f"{one.name:14} {one.value:12.2f} {one.unit:22} {yardstick:>12} {ratio:>7}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
