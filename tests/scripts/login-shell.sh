#!/bin/bash -l
#SBATCH -o %x-%j.log
shopt -q login_shell && echo "a login shell"
