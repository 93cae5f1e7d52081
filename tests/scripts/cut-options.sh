#!/bin/bash
#SBATCH --out=a.txt --err=b.txt
#SBATCH --tasks=2
echo out
echo err >&2
