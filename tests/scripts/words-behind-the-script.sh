#!/bin/bash
#SBATCH -n1
echo "$# words"
printf '[%s]\n' "$@"
