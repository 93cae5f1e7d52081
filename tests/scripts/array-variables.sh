#!/bin/bash
#SBATCH --array=3-9:3 --output=of-%A-%a.txt --job-name=Sweep_2
printf '%s\n' "$SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MIN-$SLURM_ARRAY_TASK_MAX:$SLURM_ARRAY_TASK_STEP"
echo "$SLURM_ARRAY_JOB_ID $SLURM_JOB_NAME"
inputs=(a b c)
echo "${inputs[$((SLURM_ARRAY_TASK_ID / 3 - 1))]}"
