#!/bin/bash
#SBATCH -J not-this
echo "from standard input"
