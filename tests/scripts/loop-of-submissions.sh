#!/bin/bash
# Many in a row, some with a pause between; all asked for by name, all cancelled at once.
#SBATCH --output=loop.txt --job-name=Sweep
for seed in $(seq 60); do
    sbatch --hold --job-name="sweep-$SLURM_JOB_ID" --comment="seed=$seed" --export=ALL,SEED=$seed --output=/dev/null \
        --wrap 'echo $SEED' > /dev/null || echo "number $seed was refused"
    [ $((seed % 20)) -ne 0 ] || sleep 0.1
done
squeue -u "$USER" --noheader --name "sweep-$SLURM_JOB_ID" --format %T | sort | uniq -c | tr -s ' '
scancel -u "$USER" --name "sweep-$SLURM_JOB_ID"
squeue -u "$USER" --noheader --name "sweep-$SLURM_JOB_ID" | wc -l
