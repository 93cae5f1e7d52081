#!/bin/bash
#SBATCH --job-name=Train_ResNet-50.v2 --output=%x.out
echo "$SLURM_JOB_NAME"
