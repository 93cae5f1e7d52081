#!/bin/bash
#SBATCH --export=ALL
echo "$COLOUR $SHAPE"
