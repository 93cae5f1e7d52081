#!/usr/bin/env python3
#SBATCH --job-name=snake
#SBATCH --cpus-per-task=2
"""A batch script need not be a shell script."""
#SBATCH --mem=9999G
import os

print(os.environ["SLURM_JOB_NAME"], os.environ["SLURM_CPUS_PER_TASK"])
