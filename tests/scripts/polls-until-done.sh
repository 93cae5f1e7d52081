#!/bin/bash
# A driver that looks until nothing of its is left, and asks sacct how it went.
#SBATCH --output=looked.txt
cat > part.sh <<'EOF'
#!/bin/bash
#SBATCH --job-name=part-of-it
sleep 0.5; exit $1
EOF
first=$(sbatch --parsable --output=/dev/null part.sh 0)
second=$(sbatch --parsable --output=/dev/null part.sh 4)
while squeue --noheader -u "$USER" --format '%A %j' | grep -q "^\($first\|$second\) part-of-it"; do sleep 0.3; done
for job in $first $second; do
    until sacct -j "$job" --noheader -X --format State,ExitCode | grep -q 'COMPLETED\|FAILED'; do sleep 0.3; done
    sacct -j "$job" --noheader -X --format State,ExitCode | tr -s ' '
done
rm part.sh
