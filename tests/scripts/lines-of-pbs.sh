#!/bin/bash
#SBATCH -J from-slurm
#PBS -N from-pbs
#PBS -l walltime=00:07:00
echo "$SLURM_JOB_NAME"
