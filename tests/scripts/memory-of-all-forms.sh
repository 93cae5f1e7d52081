#!/bin/bash
# One job for each way to write memory; none of them runs.
#SBATCH --output=forms.txt
for memory in 2G 2GB 2gb 2g 500M 500MB 2000 0; do
    job=$(sbatch --parsable --hold --mem=$memory --output=/dev/null --wrap true)
    echo "$memory: $(scontrol show job "$job" | grep -o 'MinMemory[A-Za-z]*=[^ ]*')"
    scancel "$job"
done
