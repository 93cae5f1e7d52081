"""How long sbatch's reader takes for a script of 3 KB with ten directives and an environment of 60 variables.

python -m tests.bench.sbatch_read
"""

import timeit

from adapters.slurm import request
from tests.slurm.calls import a_call
from tests.slurm.recorded import SITE

DIRECTIVES = """#!/bin/bash
#SBATCH --job-name=train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=02:30:00
#SBATCH --partition=main
#SBATCH --output=logs/%x-%j.out
#SBATCH --gres=gpu:a100:4
#SBATCH --mail-type=END,FAIL

"""
BODY = "srun python train.py --epochs 10   # one of many lines of a usual script\n"


def a_usual_call() -> request.Call:
    script = DIRECTIVES + BODY * ((3000 - len(DIRECTIVES)) // len(BODY))
    environ = {f"VARIABLE_{number}": "some value of a usual length" * 2 for number in range(53)}
    return a_call("job.sh", "argument", environ=environ, files={"script: job.sh": script.encode()})


def microseconds(rounds: int = 5000) -> float:
    """The best of five."""
    call = a_usual_call()
    assert isinstance(request.read(call, SITE), request.Parsed)
    return min(timeit.repeat(lambda: request.read(call, SITE), number=rounds, repeat=5)) / rounds * 1e6


if __name__ == "__main__":
    print(f"{microseconds():.0f} µs a submission")
