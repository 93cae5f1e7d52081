"""Programs that drive Slurm, unmodified, against a bridge: `python -m tests.clients [NAME...]`.

As root each is tried twice: with a bridge of root's for a plain user, and with a plain user's own bridge; else
with the second alone. The last lines are `NAME ok` or `NAME failed`; what failed goes to standard error before.
"""

import argparse
import sys
import time

from tests.clients import programs, trial
from tests.e2e import conftest


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(programs.PROGRAMS)}; default: all")
    parser.add_argument("--kind", action="append", choices=conftest.KINDS, help="of bridge; default: all there are")
    told = parser.parse_args(argv)
    if unknown := set(told.names) - set(programs.PROGRAMS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    names = told.names or list(programs.PROGRAMS)
    failed = {name for kind in told.kind or conftest.KINDS for name in _try(kind, names)}
    for name in names:
        print(name, "failed" if name in failed else "ok")
    return 1 if failed else 0


def _try(kind: str, names: list[str]) -> list[str]:
    """Names of those that failed."""
    failed = []
    with conftest.started(kind) as bridge:
        for name in names:
            began = time.monotonic()
            try:
                problem = trial.run(programs.PROGRAMS[name], bridge)
            except programs.NotInstalled as error:
                problem = f"{name}: not installed: {error}"
            print(problem or f"{name}: {kind}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            failed += [name] if problem else []
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
