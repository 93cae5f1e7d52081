#!/bin/bash
#SBATCH --array=1-2
export FACTOR=21
python3 - "$SLURM_ARRAY_TASK_ID" <<'END'
import os, sys
print(int(os.environ["FACTOR"]) * int(sys.argv[1]))
END
