#!/bin/bash
#SBATCH --partition=gpu --gres=gpu:a100:2
echo "$SLURM_GPUS_ON_NODE of $SLURM_JOB_NODELIST"
echo "$CUDA_VISIBLE_DEVICES" | tr ',' '\n' | wc -l
