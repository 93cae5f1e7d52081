#!/bin/bash
#SBATCH --comment="open
echo never
