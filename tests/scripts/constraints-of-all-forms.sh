#!/bin/bash
# One job for each way to write a constraint; none of them runs.
#SBATCH --output=forms.txt
for wish in intel "amd|ib" "intel&ib" "[intel|amd]" "amd,ib"; do
    job=$(sbatch --parsable --hold --constraint "$wish" --output=/dev/null --wrap true)
    squeue --noheader --job "$job" --format "%f"
    scancel "$job"
done
