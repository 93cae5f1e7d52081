#!/bin/bash
#SBATCH -C 'intel&ib'
echo "$SLURM_JOB_NODELIST"
