#!/bin/bash
#SBATCH --mem= 8G
echo never
