#!/bin/bash
#SBATCH --account={{account}}
echo "ran all the same"
