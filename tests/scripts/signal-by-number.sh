#!/bin/bash
# Without B: the steps are warned, the batch shell is not.
#SBATCH --time=1 --signal=15@55
trap 'echo "never: the shell was warned"' TERM
srun sleep 200
echo "the step left with $?"
