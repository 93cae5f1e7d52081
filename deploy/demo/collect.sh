#!/bin/bash
#SBATCH --job-name=collect
#SBATCH --nodes=2 --ntasks-per-node=1
#SBATCH --time=5
#SBATCH --output=%x-%j.out
# Runs when all four tasks have ended well; srun shows that it has two nodes.
srun --label sh -c 'echo "here is $SLURMD_NODENAME"' | sort
echo "sum of all: $(cat sum-*.txt | awk '{sum += $1} END {print sum}')"
