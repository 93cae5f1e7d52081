#!/bin/bash
# A climate model's long run: days and hours, written the short way.
#SBATCH -t 2-6
echo "$SLURM_JOB_NAME may run until its limit"
