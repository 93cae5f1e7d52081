#!/bin/bash
# Cancelled, a script has the site's grace time to bring its work home.
#SBATCH --signal=USR1@60 --output=grace.txt
trap 'echo "asked to stop"; sleep 0.5; echo "saved"; exit 0' TERM
sleep 300 &
scancel "$SLURM_JOB_ID"
wait
