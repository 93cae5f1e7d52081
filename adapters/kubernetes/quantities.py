"""From Slurm's units to Kubernetes' quantities."""


def memory(mib: int) -> str:
    """Slurm's megabytes are 2^20 bytes, which Kubernetes writes as Mi; M would be 5% less."""
    return f"{mib}Mi"


def cpus(count: int) -> str:
    """Slurm gives whole CPUs. Whole ones as request and limit are what the static CPU manager pins."""
    return str(count)
