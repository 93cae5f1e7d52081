#!/bin/bash
# What a workflow's head does from inside of a job: children, asked for by squeue, more children, a cancellation.
#SBATCH --job-name=Head --output=head.txt
submit() { sbatch --output=/dev/null --job-name="nf-$1" --wrap "$2" | awk '{print $4}'; }
state() { squeue --noheader -o "%i %t" -t all -u "$USER" | awk -v id="$1" '$1 == id {print $2}'; }
until_it_is() { until [ "$(state "$1")" = "$2" ]; do sleep 0.2; done; echo "$2"; }
good=$(submit good true); bad=$(submit bad 'exit 3'); long=$(submit long 'sleep 300')
until_it_is "$good" CD
until_it_is "$bad" F
until_it_is "$long" R
scancel "$long"
until_it_is "$long" CA
sacct --noheader --parsable2 -X -j "$good,$bad,$long" --format State,ExitCode | sed 's/ by .*|/ by ME|/'
