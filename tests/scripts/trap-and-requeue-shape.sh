#!/bin/bash
# The shape of long trainings: the program in the background, a trap for the warning, wait.
#SBATCH --signal=B:USR1@60
#SBATCH --open-mode=append --requeue
finish() { echo "warned: saving"; kill "$child"; wait "$child"; echo "child left with $?"; exit 12; }
trap finish USR1
sleep 600 &
child=$!
scancel --batch --signal=USR1 "$SLURM_JOB_ID"
wait "$child"
echo "never"
