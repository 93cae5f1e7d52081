#!/bin/bash
#SBATCH --nodes=2 --ntasks-per-node=1 --output=ray.txt
# The newer shape: one srun on all nodes. There is no ray here: a stand-in is first on PATH.
mkdir stand-in
cat > stand-in/ray <<'END'
#!/bin/bash
# A stand-in for ray: keeps who has joined as files, instead of a cluster.
cd "$(dirname "$0")"
joined() { ls joined-* 2> /dev/null | wc -l; }
until_joined() { until [ "$(joined)" -ge "$1" ]; do sleep 0.1; done; }
echo "$*" > "joined-$SLURMD_NODENAME"
case $* in
    *symmetric-run*)
        while [ "$1" != -- ]; do [ "$1" != --min-nodes ] || least=$2; shift; done; shift
        until_joined "$least"
        [ "$SLURM_PROCID" -ne 0 ] || { (cd .. && "$@"); touch over; }
        until [ -e over ]; do sleep 0.1; done ;;
    start*--block) exec sleep 600 ;;
esac
END
printf '#!/bin/bash\n# the program: waits for all nodes, as a driver of ray does\nuntil [ "$(ls stand-in/joined-* | wc -l)" -ge "$1" ]; do sleep 0.1; done\necho "$1 nodes, address ${2:+given}"\n' > stand-in/program
chmod +x stand-in/ray stand-in/program
trap 'rm -rf stand-in' EXIT
PATH=$PWD/stand-in:$PATH

head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
    ray symmetric-run --address "$head_node:6379" --min-nodes "$SLURM_JOB_NUM_NODES" -- stand-in/program 2 "$head_node:6379"
echo "left with $?"
