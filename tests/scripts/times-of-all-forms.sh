#!/bin/bash
# One job for each way to write a time limit; none of them runs.
#SBATCH --output=forms.txt
for limit in 02:30:00 1-12:00:00 1-12:00 2-6 45 30:00 1:0:0 100:00:00; do
    job=$(sbatch --parsable --hold --time=$limit --output=/dev/null --wrap true)
    squeue --noheader --job "$job" --format "$limit is %l"
    scancel "$job"
done
