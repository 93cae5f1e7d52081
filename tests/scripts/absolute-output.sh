#!/bin/bash
# An absolute path for a child's output, and another one's thrown away.
#SBATCH --output=/dev/null
sbatch --wait --output="$PWD/results/child-%x.txt" --job-name=first --wrap 'echo kept' 
sbatch --wait --output=/dev/null --wrap 'echo lost'
sbatch --wait --output=joined.txt --wrap 'echo to out; echo to err >&2'
