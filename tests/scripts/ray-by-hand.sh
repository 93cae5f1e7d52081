#!/bin/bash
#SBATCH --job-name=Ray_by_hand --nodes=3 --ntasks-per-node=1 --cpus-per-task=2 --output=ray.txt --error=ray.err
# A cluster of ray's, one task a node, started by hand. There is no ray here: a stand-in is first on PATH.
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

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
nodes_array=($nodes)
head_node=${nodes_array[0]}
head_ip=$(srun --nodes=1 --ntasks=1 -w "$head_node" hostname --ip-address | awk '{print $1}')
port=6379
export ip_head=$head_ip:$port

echo "head"
srun --overlap --nodes=1 --ntasks=1 -w "$head_node" \
    ray start --head --node-ip-address="$head_ip" --port=$port --num-cpus "${SLURM_CPUS_PER_TASK}" --num-gpus 0 --block &
sleep 1
workers=$((SLURM_JOB_NUM_NODES - 1))
for ((i = 1; i <= workers; i++)); do
    echo "worker $i"
    srun --nodes=1 --ntasks=1 -w "${nodes_array[$i]}" \
        ray start --address "$ip_head" --num-cpus "${SLURM_CPUS_PER_TASK}" --block &
    sleep 0.5
done
program "$SLURM_JOB_NUM_NODES" "$ip_head"
srun --overlap --nodes=1 --ntasks=1 -w "$head_node" program 3 "$ip_head"
grep -l -- --head stand-in/joined-* | sed "s/.*-$head_node$/the head is first/"
grep -c -- "--num-cpus 2" stand-in/joined-* | cut -d : -f 2 | sort -u
