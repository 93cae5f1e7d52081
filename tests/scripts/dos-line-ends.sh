#!/bin/bash
#SBATCH -n1
echo never
