#!/bin/bash
# A driver's whole evening: ids by --parsable, awk, cut, grep and the last word; a here-document; a wrapped command.
#SBATCH --output=evening.txt
n=4
a=$(sbatch --parsable --output=steps.txt --open-mode=append --wrap 'echo prepared')
b=$(sbatch --dependency=afterok:$a --output=steps.txt --open-mode=append --wrap 'echo trained' | awk '{print $4}')
c=$(sbatch --dependency=afterok:$a:$b --array=0-$((n-1))%8 --output=/dev/null --wrap 'sleep 0.1' | cut -d ' ' -f 4)
said=$(sbatch --dependency=afterok:$c --output=steps.txt --open-mode=append <<EOF
#!/bin/sh
#SBATCH --job-name=report
echo "reported \$SLURM_JOB_NAME $n"
EOF
)
d=${said##* }
e=$(sbatch --dependency=afternotok:$a --kill-on-invalid-dep=yes --wrap 'echo never' | grep -o '[0-9]\+')
echo "$said" | sed "s/$d/ID/"
sbatch --parsable --wait --dependency=afterany:$d --output=steps.txt --open-mode=append --wrap 'echo after all' | grep -c '^[0-9]*$'
[ "$a" -lt "$b" ] && [ "$b" -lt "$c" ] && [ "$c" -lt "$d" ] && [ "$d" -lt "$e" ] && echo "in order"
