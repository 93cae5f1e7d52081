#!/bin/bash
#SBATCH -n 3
for i in 1 2 3; do
    ( echo "part $i" > "part-$i.txt"; exit $i ) &
    last=$!
done
wait $last; echo "last one left with $?"
wait
cat part-*.txt
