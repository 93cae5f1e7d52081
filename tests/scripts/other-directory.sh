#!/bin/bash
#SBATCH --chdir=/tmp -o /dev/null
pwd > "$SLURM_SUBMIT_DIR/where.txt"
echo "$SLURM_SUBMIT_DIR" >> "$SLURM_SUBMIT_DIR/where.txt"
