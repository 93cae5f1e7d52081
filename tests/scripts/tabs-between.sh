#!/bin/bash
#SBATCH	--time=1:00:00	-n	2
echo "$SLURM_NTASKS"
