#!/bin/bash
# The variables that scripts read most.
#SBATCH --job-name=reader --nodes=2 --ntasks-per-node=2 --cpus-per-task=2 --account=science --partition=main -w n[2-3]
#SBATCH --output=read.txt
[ "$SLURM_JOB_ID" = "$SLURM_JOBID" ] && [ "$SLURM_SUBMIT_DIR" = "$PWD" ] && [ -n "$SLURM_SUBMIT_HOST" ] && echo same
for name in NNODES JOB_NUM_NODES NTASKS NPROCS JOB_NAME NTASKS_PER_NODE CPUS_PER_TASK CPUS_ON_NODE NODEID PROCID LOCALID \
    JOB_ACCOUNT JOB_PARTITION TASKS_PER_NODE JOB_CPUS_PER_NODE; do
    variable=SLURM_$name; echo "$name=${!variable-unset}"
done
[ "$SLURM_JOB_NODELIST" = "$SLURM_NODELIST" ] && echo "$SLURM_JOB_NODELIST $SLURMD_NODENAME"
[ -d "${TMPDIR:-/tmp}" ] && echo "a place for files"
srun sh -c 'echo "$SLURM_PROCID: local $SLURM_LOCALID, node $SLURM_NODEID, $SLURMD_NODENAME"' | sort
