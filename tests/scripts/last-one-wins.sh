#!/bin/bash
#SBATCH --time=5
#SBATCH --job-name=one
#SBATCH --job-name=two
#SBATCH --time=7
echo "$SLURM_JOB_NAME"
