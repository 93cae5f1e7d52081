#!/bin/bash
#SBATCH --job-name=Deep_Net --nodelist=n2
#SBATCH --output=%x-%j-%A-%J.%N.%n.%u.log
#SBATCH --error=logs/%x_%4n_%%.err
echo out
echo err >&2
