#!/bin/bash
# One job for each way to ask for devices; none of them runs.
#SBATCH --output=forms.txt
for wish in --gres=gpu:2 --gres=gpu:a100:4 --gres=gpu:a100 --gres=gpu:1,gpu:a100:2 --gres=gpu:1,gpu:2 \
    --gpus=4 --gpus=a100:4 --gpus-per-node=2 --gpus-per-node=a100:1 --gpus-per-task=1; do
    job=$(sbatch --parsable --hold --partition=gpu --ntasks=1 "$wish" --output=/dev/null --wrap true) || continue
    echo "$wish:" $(scontrol show job "$job" | grep -o 'TresPer[A-Za-z]*=[^ ]*')
    scancel "$job"
done
sbatch --hold --gres=abacus:1 --wrap true
echo "that one left with $?"
