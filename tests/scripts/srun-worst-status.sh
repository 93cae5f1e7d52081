#!/bin/bash
#SBATCH -n 3
srun sh -c 'exit $SLURM_PROCID' 2>/dev/null
echo "worst: $?"
