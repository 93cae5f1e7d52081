#!/bin/bash
for name in CPUS_PER_TASK NTASKS NPROCS NTASKS_PER_NODE GPUS GPUS_PER_NODE MEM_PER_NODE ARRAY_TASK_ID ARRAY_JOB_ID RESTART_COUNT; do
    variable=SLURM_$name
    [ -z "${!variable+set}" ] || echo "$variable is set to ${!variable}"
done
echo "${SLURM_CPUS_PER_TASK:-1} $SLURM_JOB_NUM_NODES $SLURM_NNODES"
[ "$SLURM_JOB_ID" = "$SLURM_JOBID" ] && [ "$SLURM_JOB_NODELIST" = "$SLURM_NODELIST" ] && echo same
