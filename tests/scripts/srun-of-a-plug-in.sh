#!/bin/bash
# pyxis brings this option; where it is not installed, srun says so and starts nothing.
srun --container-image=docker://debian echo "never" 2> said.txt
echo "srun left with $?"
grep -c "container-image" said.txt
rm said.txt
