#!/bin/sh
#SBATCH -i input-file.sh
head -n 1
