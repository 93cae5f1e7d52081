#!/bin/bash
#SBATCH --time=1:00:00 please
echo never
