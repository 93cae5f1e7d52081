#!/bin/bash
#SBATCH -N 2 -w n2,n3
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
echo $hosts
export MASTER_ADDR=$(echo "$hosts" | head -n 1)
echo "$MASTER_ADDR $SLURMD_NODENAME $SLURM_JOB_NODELIST"
