#!/bin/bash
#SBATCH -p=gpu
echo never
