#!/bin/bash
# A chain that submits its own next link.
#SBATCH --output=/dev/null
left=${1:-2}
echo "link $left" >> links.txt
if [ "$left" -gt 0 ]; then
    next=$(sbatch --parsable --wait "$SLURM_SUBMIT_DIR/next-link.sh" $((left - 1))) || exit 9
    [[ $next =~ ^[0-9]+$ ]] || exit 8
fi
