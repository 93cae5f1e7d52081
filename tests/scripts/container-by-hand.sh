#!/bin/bash
# A program in an image. A stand-in for apptainer is used where there is none.
command -v apptainer > /dev/null || apptainer() { [ "$1" = exec ] && shift 4 && "$@"; }
image=$PWD/trainer.sif
apptainer exec --bind "$PWD:/data" "$image" echo "from the image"
