#!/bin/bash
# mpirun by a file of hosts. A stand-in takes its place: it starts one process a slot, by srun.
#SBATCH --nodes=2 --ntasks-per-node=2
mkdir bin
cat > bin/mpirun <<'END'
#!/bin/bash
# a stand-in for mpirun: mpirun -np N --hostfile FILE program...
srun --ntasks="$2" --nodelist="$(cut -d ' ' -f 1 "$4" | paste -sd ,)" "${@:5}"
END
chmod +x bin/mpirun
trap 'rm -rf bin hosts.txt' EXIT
PATH=$PWD/bin:$PATH
for host in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do echo "$host slots=$SLURM_NTASKS_PER_NODE"; done > hosts.txt
wc -l < hosts.txt
mpirun -np "$SLURM_NTASKS" --hostfile hosts.txt sh -c 'echo "rank $SLURM_PROCID of $SLURM_NTASKS"' | sort
