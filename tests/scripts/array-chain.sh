#!/bin/bash
#SBATCH --array=0-3%1
#SBATCH --open-mode=append -o chain.txt
# One link after the other, all into one log.
echo "link $SLURM_ARRAY_TASK_ID"
