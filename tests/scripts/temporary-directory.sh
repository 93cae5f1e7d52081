#!/bin/bash
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cd "$work" && echo data > in && tr a-z A-Z < in > out && cp out "$SLURM_SUBMIT_DIR/result-$SLURM_JOB_ID.txt"
