#!/bin/bash
#SBATCH --mem=500MB
echo "memory of the node: $SLURM_MEM_PER_NODE, of a CPU: ${SLURM_MEM_PER_CPU-not set}"
