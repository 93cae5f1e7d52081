#!/bin/bash
#SBATCH --mail-type=BEGIN
#SBATCH --mail-type=end,fail
#SBATCH --mail-user=somebody@example.org
echo done
