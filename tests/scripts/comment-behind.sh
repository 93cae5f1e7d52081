#!/bin/bash
#SBATCH -t 10:00   # ten minutes are plenty
#SBATCH -J short#name
echo "$SLURM_JOB_NAME"
