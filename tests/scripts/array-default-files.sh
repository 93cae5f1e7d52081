#!/bin/bash
#SBATCH -a 2-6:4
echo "task $SLURM_ARRAY_TASK_ID"
[ "$SLURM_ARRAY_TASK_ID" != 6 ] || exit 5
