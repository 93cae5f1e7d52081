#!/bin/bash
# The warning goes straight to the program, which saves and leaves; a TERM would not move it.
#SBATCH --time=1 --signal=SIGUSR1@55
cat > program.py <<'END'
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(print("saved", flush=True)))
signal.raise_signal(signal.SIGTERM)
print("working", flush=True)
while True:
    signal.pause()
END
srun python3 program.py
echo "the program left with $?"
