#!/bin/bash
#SBATCH -J from-slurm
#BSUB -J from-bsub
#BSUB -W 7
echo "$SLURM_JOB_NAME"
