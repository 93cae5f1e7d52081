#!/bin/bash
#SBATCH --array=1,3,7
#SBATCH --output=part-%a.txt
echo "$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT, $SLURM_ARRAY_TASK_MIN to $SLURM_ARRAY_TASK_MAX by $SLURM_ARRAY_TASK_STEP"
[ "$SLURM_ARRAY_JOB_ID" = "$1" ] || [ $# = 0 ]
