#!/bin/bash
#SBATCH --container-image=docker://debian
echo never
