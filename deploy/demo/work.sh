#!/bin/bash
#SBATCH --job-name=work
#SBATCH --array=0-3%2
#SBATCH --time=5
#SBATCH --output=%x-%A_%a.out
# Adds up one list; two of the four tasks run at a time.
sleep 2
awk '{sum += $1} END {print sum}' "part-$SLURM_ARRAY_TASK_ID.txt" > "sum-$SLURM_ARRAY_TASK_ID.txt"
echo "task $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT: $(cat "sum-$SLURM_ARRAY_TASK_ID.txt")"
