#!/bin/bash
# What the steps write is appended too, as the option says for the job.
#SBATCH --open-mode=append
echo "open mode $SLURM_OPEN_MODE"
echo "of an earlier run" > step.log
srun --output=step.log echo "of this run"
srun --open-mode=truncate --output=other.log echo "first"
srun --open-mode=truncate --output=other.log echo "second"
