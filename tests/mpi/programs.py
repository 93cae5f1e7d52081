"""MPI programs for tests, compiled once a run, with whichever MPI is asked for."""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("world.c")
MEGABYTES_64 = str(64 << 20)


def compile_world(compiler: str, directory: Path) -> str:
    """The path of the program: `world [BYTES]` tells its rank, sends a message round and sums a vector of so many."""
    return compile_program(compiler, SOURCE, directory)


def compile_program(compiler: str, source: Path, directory: Path | None = None) -> str:
    """Its path: beside the source if not elsewhere."""
    path = (directory or source.parent) / f"{source.stem}-{compiler}"
    subprocess.run([compiler, "-O1", "-o", path, source], check=True, timeout=60)
    return str(path)


def lines_of_world(*per_node: int, sum_bytes: int = 8) -> list[str]:
    """What all ranks say together, sorted; so many ranks on each node."""
    size = sum(per_node)
    places = [count for count in per_node for _ in range(count)]
    told = [f"rank {rank} of {size}, {count} on its node" for rank, count in enumerate(places)]
    return sorted([*told, *([f"ring: {size}"] if size > 1 else []), f"sum of {sum_bytes} bytes: right"])
