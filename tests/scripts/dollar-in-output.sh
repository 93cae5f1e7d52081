#!/bin/bash
#SBATCH --output=$HOME/%u-a.txt
echo here
