#!/bin/bash
#SBATCH --ntasks=4 --nodes=1
echo "once: $SLURM_NTASKS on $SLURM_CPUS_ON_NODE"
