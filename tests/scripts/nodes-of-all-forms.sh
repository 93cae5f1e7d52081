#!/bin/bash
#SBATCH --output=forms.txt
for wish in 2 1-2 3-4; do
    job=$(sbatch --parsable --hold --nodes "$wish" --output=/dev/null --wrap true)
    echo "$wish: $(scontrol show job "$job" | grep -o 'NumNodes=[^ ]*')"
    scancel "$job"
done
