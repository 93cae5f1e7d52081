#!/bin/bash
#SBATCH --export=ALL,SEED=7
echo "$COLOUR $SEED"
