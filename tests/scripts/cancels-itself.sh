#!/bin/bash
echo start
scancel "$SLURM_JOB_ID"
sleep 600
