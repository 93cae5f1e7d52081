#!/bin/bash
#SBATCH --export=NONE
echo "${COLOUR-not there} ${SLURM_EXPORT_ENV}"
command -v ls >/dev/null && echo "a login environment"
