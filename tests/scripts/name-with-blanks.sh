#!/bin/bash
#SBATCH --job-name="my long run" --output='%x.txt'
echo "$SLURM_JOB_NAME"
