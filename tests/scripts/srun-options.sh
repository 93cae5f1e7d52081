#!/bin/bash
# What people write behind srun.
#SBATCH --nodes=2 --ntasks=4 --cpus-per-task=2 --output=steps.txt --error=steps.err
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=$(echo "$hosts" | head -n 1); second=$(echo "$hosts" | tail -n 1)
srun -n 2 sh -c 'echo "two: $SLURM_NTASKS"'
srun -N 1 -n 1 -w "$second" sh -c '[ "$SLURMD_NODENAME" = "$0" ] && echo "on the second"' "$second"
srun -N 2 -n 2 -c 2 sh -c 'echo "cores: $SLURM_CPUS_PER_TASK"'
srun -l -n 2 echo labelled | sort
srun -u -n 1 --cpu-bind=none --mpi=none echo unbuffered
srun -n 1 --output=of-the-step.txt echo "to a file"
WORD=heard srun -n 1 --export=ALL,SEED=7 sh -c 'echo "$WORD $SEED"'
srun --ntasks=1 --overlap --nodelist="$first" sleep 300 &
sleep 1
srun --ntasks=1 --overlap --nodelist="$first" echo "beside it"
kill %1; wait %1
echo "left with $?"
