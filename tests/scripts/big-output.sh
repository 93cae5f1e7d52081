#!/bin/bash
#SBATCH -o big.txt
head -c 3000000 /dev/zero | tr '\0' x | fold -w 99 | tail -n 1; echo
i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i + 1)); done | md5sum
