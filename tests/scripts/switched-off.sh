#!/bin/bash
##SBATCH --mem=9999G
###SBATCH -p nowhere
# SBATCH -N 99
#SBATCH -n1
echo "$SLURM_NTASKS"
