#!/bin/sh
#SBATCH -o u.txt
umask
