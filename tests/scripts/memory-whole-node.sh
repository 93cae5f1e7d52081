#!/bin/bash
#SBATCH --mem=0
echo "${SLURM_MEM_PER_NODE-no figure}"
