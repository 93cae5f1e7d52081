#!/bin/bash
basename "$0"
echo 'echo changed' > "$SLURM_SUBMIT_DIR/copy-of-the-script.sh"
echo unchanged
