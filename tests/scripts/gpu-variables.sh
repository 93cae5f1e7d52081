#!/bin/bash
#SBATCH --partition=gpu --gpus-per-node=2 --ntasks=1 --output=gpus.txt
for name in GPUS_PER_NODE GPUS_ON_NODE JOB_GPUS GPUS GPUS_PER_TASK STEP_GPUS; do
    variable=SLURM_$name; echo "$name=${!variable-unset}"
done
srun sh -c 'echo "step: ${SLURM_STEP_GPUS-unset} ${SLURM_GPUS_ON_NODE-unset}"'
