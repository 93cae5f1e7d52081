#!/bin/bash
#SBATCH --nice=50
# Many site scripts tell the system's log what they do; it may well not be there.
logger --no-act --stderr -t job "started $SLURM_JOB_NAME" 2>&1 | sed 's/.*job: //'
