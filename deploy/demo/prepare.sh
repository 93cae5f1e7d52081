#!/bin/bash
#SBATCH --job-name=prepare
#SBATCH --time=5
#SBATCH --output=%x-%j.out
# Writes four lists of numbers, one for each task of the next job.
for part in 0 1 2 3; do
    seq $((part * 1000 + 1)) $((part * 1000 + 1000)) > "part-$part.txt"
done
echo "prepared $(cat part-*.txt | wc -l) numbers on $SLURMD_NODENAME"
