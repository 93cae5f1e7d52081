#!/bin/bash
#SBATCH -p closed,short
#SBATCH --time=2
echo "$SLURM_JOB_PARTITION"
