#!/bin/bash
#SBATCH --account=<your-account>
echo "ran all the same"
