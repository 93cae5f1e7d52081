#!/bin/bash
#SBTACH --job-name=misspelt
#sbatch -n 64
#SBATCH --comment=right
echo "$SLURM_JOB_NAME ${SLURM_NTASKS-no tasks}"
