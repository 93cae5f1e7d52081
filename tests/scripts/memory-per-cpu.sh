#!/bin/bash
#SBATCH --cpus-per-task=2
#SBATCH --mem-per-cpu=100m
echo "$SLURM_CPUS_PER_TASK CPUs with $SLURM_MEM_PER_CPU each, $SLURM_CPUS_ON_NODE here"
