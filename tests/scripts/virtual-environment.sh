#!/bin/bash
# An environment beside the script, by an absolute path, and a program by a relative one.
#SBATCH --job-name=Env_Test
set -euo pipefail
python3 -m venv --without-pip "$SLURM_SUBMIT_DIR/env"
trap 'rm -rf "$SLURM_SUBMIT_DIR/env"' EXIT
source "$SLURM_SUBMIT_DIR/env/bin/activate"
printf 'import sys\nprint(sys.argv[1:], sys.prefix.endswith("/env"))\n' > step.py
python ./step.py --epochs 3
srun python step.py from srun
deactivate
[ "${VIRTUAL_ENV-gone}" = gone ] && echo "left"
