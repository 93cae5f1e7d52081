"""From Slurm's units to Kubernetes' quantities."""


def memory(mib: int) -> str:
    """Slurm's megabytes are 2^20 bytes, which Kubernetes writes as Mi; M would be 5% less."""
    return f"{mib}Mi"


def cpus(count: int) -> str:
    """Slurm gives whole CPUs. Whole ones as request and limit are what the static CPU manager pins."""
    return str(count)


def part_of_cpus(count: int, percent: int) -> str:
    """In thousandths of a CPU, which holds every percentage exactly."""
    return f"{count * percent * 10}m" if percent != 100 else cpus(count)
