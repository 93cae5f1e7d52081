#!/bin/bash
#SBATCH --image=registry.example.org/trainer:3
echo never
