#!/bin/bash
#SBATCH -J looker
squeue --noheader --job "$SLURM_JOB_ID" --format '%j %T %D'
scontrol show job "$SLURM_JOB_ID" | grep -o 'JobState=[A-Z]*'
sacct --noheader --parsable2 -X -j "$SLURM_JOB_ID" --format JobName,State
