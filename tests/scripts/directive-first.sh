#SBATCH --job-name=never
#!/bin/bash
echo never
