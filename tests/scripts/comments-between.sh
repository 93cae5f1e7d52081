#!/bin/bash

# A title

#SBATCH --job-name=first
# why two tasks: input and output
#SBATCH -n 2

   
#SBATCH --comment=kept
echo "$SLURM_JOB_NAME $SLURM_NTASKS"
