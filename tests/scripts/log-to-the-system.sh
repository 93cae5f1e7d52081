#!/bin/bash
#SBATCH --nice=50
# Many site scripts tell the system's log what they do; it may well not be there.
logger -t job "started $SLURM_JOB_NAME" 2>/dev/null || true
echo "told, or not"
