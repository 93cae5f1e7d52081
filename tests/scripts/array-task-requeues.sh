#!/bin/bash
# One task of an array queues itself again, by the array's id and its own index.
#SBATCH --array=1-2 --output=task-%a.txt --open-mode=append
echo "task $SLURM_ARRAY_TASK_ID, start ${SLURM_RESTART_COUNT:-0}"
if [ "$SLURM_ARRAY_TASK_ID" -eq 2 ] && [ -z "$SLURM_RESTART_COUNT" ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    sleep 60
fi
