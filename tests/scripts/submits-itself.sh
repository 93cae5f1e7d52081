#!/bin/bash
# The next link of itself, by its own file; each goes on when the one behind it has ended.
#SBATCH --job-name=Chain_of_3 --output=links.txt --open-mode=append
left=${1:-2}
[ "$left" -eq 0 ] || sbatch --wait "$0" $((left - 1)) "$@" | cut -d ' ' -f 1-3
echo "link $left of $SLURM_JOB_NAME: $*"
