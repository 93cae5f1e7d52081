#!/bin/bash
# The long training: warned before its limit it saves and queues itself again, with the same id and log.
#SBATCH --job-name=long --open-mode=append --requeue
#SBATCH --time=1 --signal=B:USR1@55
again() { echo "warned: queueing again"; scontrol requeue "$SLURM_JOB_ID"; wait; }
trap again USR1
echo "start ${SLURM_RESTART_COUNT:-0} of $SLURM_JOB_ID"
[ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] || { echo "done"; exit 0; }
sleep 300 &
wait
