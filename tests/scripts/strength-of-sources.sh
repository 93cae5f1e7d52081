#!/bin/bash
#SBATCH -J script -t 3 --comment=script
echo "$SLURM_JOB_NAME"
