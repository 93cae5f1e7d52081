#!/bin/bash
# What drivers write behind --dependency. An empty or unknown id must not pass for "no dependency".
#SBATCH --output=forms.txt
a=$(sbatch --parsable --hold --job-name=waits --output=/dev/null --wrap true)
b=$(sbatch --parsable --hold --output=/dev/null --wrap true)
for wish in afterok:$a afterok:$a:$b afterok:$a,afterany:$b afternotok:$a?after:$b singleton; do
    job=$(sbatch --parsable --dependency=$wish --job-name=waits --output=/dev/null --wrap true)
    squeue --noheader --job "$job" --format "%E" | sed "s/$a/A/g; s/$b/B/g"
    scancel "$job"
done
empty=$(false)
sbatch --dependency=afterok:$empty --wrap true
sbatch --dependency=afterok:99999999 --wrap true
scancel "$a" "$b"
