#!/bin/bash
#SBATCH -N 1 --ntasks-per-node=2 --exclusive
echo "$SLURM_JOB_NUM_NODES $SLURM_NTASKS_PER_NODE $SLURM_NTASKS $SLURM_CPUS_ON_NODE"
