#!/bin/bash
# One array for each way to write its indices; none of them runs.
#SBATCH --output=forms.txt
for indices in 0-9 1-20%4 1,3,7 5 1-9:2 0-4,8 '[0-7]%2' 0-99%1; do
    job=$(sbatch --parsable --hold --array="$indices" --output=/dev/null --wrap true)
    echo "$indices:" $(scontrol show job "$job" | grep -o 'ArrayTask[A-Za-z]*=[^ ]*')
    scancel "$job"
done
