#!/bin/bash
#SBATCH --mem 80M
#SBATCH --job-name  spaced
echo "$SLURM_MEM_PER_NODE $SLURM_JOB_NAME"
