#!/bin/bash
# Site software by modules. Where there are none, a function takes their place and notes what was asked for.
command -v module > /dev/null || module() { echo "module $*" >> modules.txt; }
command -v ml > /dev/null || ml() { module load "$@"; }
set -e
module purge
module use /apps/modules
module load gcc/12.2 openmpi
ml cuda
echo "ready"
