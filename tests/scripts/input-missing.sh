#!/bin/sh
#SBATCH --input=gone.txt
cat
