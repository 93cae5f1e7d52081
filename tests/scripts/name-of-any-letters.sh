#!/bin/bash
#SBATCH -J "größe µ=3;$(id)"
printf '%s\n' "$SLURM_JOB_NAME"
