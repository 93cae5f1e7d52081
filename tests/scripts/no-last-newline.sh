#!/bin/bash
#SBATCH -J counted