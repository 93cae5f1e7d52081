#!/bin/csh -f
#SBATCH -o csh-%j.txt
set greeting = "from csh"
foreach i (1 2)
    echo "$greeting $i"
end
