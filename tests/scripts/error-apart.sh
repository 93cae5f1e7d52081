#!/bin/bash
#SBATCH --output=logs/out-%j.txt
#SBATCH --error=logs/deep/err-%A.txt
echo result
echo trouble >&2
