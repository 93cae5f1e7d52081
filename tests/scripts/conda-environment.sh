#!/bin/bash
# conda's two ways in. A stand-in for conda is written first; it does to PATH what the real one does.
mkdir -p conda/etc/profile.d conda/bin conda/envs/train/bin
cat > conda/etc/profile.d/conda.sh <<'END'
conda() {
    case $1 in
        activate) export CONDA_DEFAULT_ENV=$2 PATH="$base/envs/$2/bin:$PATH" ;;
        deactivate) unset CONDA_DEFAULT_ENV; PATH=${PATH#*:} ;;
    esac
}
END
printf '#!/bin/sh\ncat "%s/conda/etc/profile.d/conda.sh"\n' "$PWD" > conda/bin/conda
printf '#!/bin/sh\necho "the environment says: $*"\n' > conda/envs/train/bin/trainer
chmod +x conda/bin/conda conda/envs/train/bin/trainer
base=$PWD/conda
trap 'rm -rf "$base"' EXIT

source "$base/etc/profile.d/conda.sh"
conda activate train
trainer "$CONDA_DEFAULT_ENV"
srun trainer from a step
conda deactivate
command -v trainer || echo "no trainer outside"
unset -f conda
PATH="$base/bin:$PATH"
eval "$(conda shell.bash hook)"
conda activate train
trainer again
