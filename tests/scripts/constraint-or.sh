#!/bin/bash
#SBATCH --constraint="amd|intel" --nodelist=n2
echo "$SLURM_JOB_NODELIST $SLURMD_NODENAME"
