#!/bin/bash
#SBATCH -t soon
echo never
