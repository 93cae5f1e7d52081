#!/bin/bash
#SBATCH -o raw\\%j.txt
echo here
