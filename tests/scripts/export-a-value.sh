#!/bin/bash
#SBATCH --export=SEED=7
echo "$SEED ${COLOUR-not there} ${HOME:+a home}"
