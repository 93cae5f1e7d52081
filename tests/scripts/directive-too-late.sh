#!/bin/bash
#SBATCH -J early
cd .
#SBATCH -J late
#SBATCH --mem=9999G
echo "$SLURM_JOB_NAME"
