#!/bin/bash
#SBATCH --nodes=2 --ntasks-per-node=2
echo "nodes $SLURM_JOB_NUM_NODES, tasks $SLURM_NTASKS, $SLURM_TASKS_PER_NODE"
srun --label sh -c 'echo "rank $SLURM_PROCID local $SLURM_LOCALID node $SLURM_NODEID"' | sort
