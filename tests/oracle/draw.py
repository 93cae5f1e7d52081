"""`python -m tests.oracle.draw NUMBER SEED ASKED.json`: command lines of sbatch that nobody thought of.

A few options each, good and bad values, by command line, directive or variable, all on held jobs so that nothing runs.
`python -m tests.oracle.record ASKED.json OUT.jsonl` asks a real Slurm what it makes of them, `python -m tests.oracle
OUT.jsonl --show` a bridge. `drawn.jsonl` holds 700 of them (300 of seed 1, 400 of seed 2) with the real one's answers.
"""

import json
import random
import shlex
import sys
from pathlib import Path
from typing import Any

Values = list[str | None]
"""None: the option is given without a value."""


def _words(text: str) -> Values:
    return [*text.split()]


POOL: dict[str, tuple[str, Values]] = {
    "nodes": ("N", _words("1 2 1-2 3 4 1-4:2 1,3 2- 0 5 3-2 1k x 2-3")),
    "ntasks": ("n", _words("1 2 3 4 8 9 16 24 33 0 -1 x 1k 4.5")),
    "cpus-per-task": ("c", _words("1 2 3 4 8 9 0 x")),
    "ntasks-per-node": ("", _words("1 2 4 8 9 0 x")),
    "ntasks-per-socket": ("", _words("1 2 4")),
    "ntasks-per-core": ("", _words("1 2")),
    "ntasks-per-gpu": ("", _words("1 2")),
    "mincpus": ("", _words("2 4 9")),
    "sockets-per-node": ("", _words("1 2 3")),
    "cores-per-socket": ("", _words("2 4 5")),
    "threads-per-core": ("", _words("1 2")),
    "extra-node-info": ("B", _words("1 2:4 2:4:1 *:2 3:1 x")),
    "mem": ("", _words("100 1G 0 500M 20G 1T x 1.5G 1000K 4096 16000 16001 1gb 2GB 512m")),
    "mem-per-cpu": ("", _words("100 1G 0 5000 300M x 2g")),
    "mem-per-gpu": ("", _words("1G 100")),
    "gres": ("", _words("gpu:1 gpu:a100:2 gpu gpu:5 foo:1 none gpu:v100:1 gpu:0 gpu:a100 gpu:1,gpu:1")),
    "gpus": ("G", _words("1 a100:2 4 5 x 0 8")),
    "gpus-per-node": ("", _words("1 a100:1 3 x")),
    "gpus-per-task": ("", _words("1 2 a100:1")),
    "gpus-per-socket": ("", _words("1")),
    "cpus-per-gpu": ("", _words("1 2 4")),
    "tres-per-task": ("", _words("cpu=2 gres/gpu=1 cpu:2 x")),
    "time": (
        "t",
        _words("10 1:00 1:00:00 1-0 1-1:30 UNLIMITED INFINITE 0 x 10:99 2-00:00:00 00:00:30 90 999-0 :30 5:"),
    ),
    "time-min": ("", _words("5 1:00 x 2:00:00")),
    "partition": ("p", _words("main short gpu all closed small main,short nosuch short,main gpu,nosuch all,gpu MAIN")),
    "account": ("A", _words("physics chem nosuch PHYSICS")),
    "qos": ("q", _words("normal high nosuch")),
    "job-name": ("J", ["plain", "a b", "", "with/slash", "grün", "x" * 70, "a%b", "a=b", "'q'", '"q"', "-dash", "a,b"]),
    "output": ("o", ["out.txt", "%x-%j.out", "logs/%A_%a.log", "%4j.o", "a b.out", "%%.o", "o.%", "dir/", "%b-%h"]),
    "error": ("e", _words("err.txt %x.err /dev/null %j.e")),
    "input": ("i", _words("/dev/null in.txt %x.in none")),
    "mail-type": ("", _words("ALL NONE BEGIN END,FAIL TIME_LIMIT_50 ARRAY_TASKS bogus all begin,x REQUEUE")),
    "mail-user": ("", ["a@example.org", "bob", ""]),
    "dependency": (
        "d",
        _words("singleton afterok:999999 afterany:1 garbage afterok:x after:5 after:5+10 afterok:1?afterok:2"),
    ),
    "array": ("a", _words("1-5 1-10:2 1,3,5 0-3%2 5-1 0-2000 %2 1-3,7 0 4,4,4 0-1001 1-4%0 x 1:3 3- 007 1-5%3:2")),
    "begin": (
        "b",
        _words("now+1hour 16:00 tomorrow 2030-01-01 x now+5 midnight noon teatime 01/02/30 25:00 2030-13-01 3pm"),
    ),
    "deadline": ("", _words("2030-01-01T00:00:00 now+1hour now+2minutes x")),
    "nice": ("", [None, "10", "-5", "x", "0", "2147483646"]),
    "priority": ("", _words("100 TOP 0 x")),
    "constraint": (
        "C",
        [*_words("intel intel&ib intel|amd nosuch [intel|amd] intel*2 (intel&ib)|amd intel,ib !intel"), ""],
    ),
    "prefer": ("", _words("intel nosuch")),
    "nodelist": ("w", _words("n1 n[1-2] n9 n1,n3 n4 n[1-9]")),
    "exclude": ("x", _words("n1 n[1-2] n9 n[1-3]")),
    "exclusive": ("", [None, "user", "x", "mcs"]),
    "oversubscribe": ("s", [None]),
    "requeue": ("", [None]),
    "no-requeue": ("", [None]),
    "contiguous": ("", [None]),
    "switches": ("", _words("1 1@10 2@1:00:00 x")),
    "overcommit": ("O", [None]),
    "comment": ("", ["hello", "two words", "", "a=b,c", "ümlaut"]),
    "export": ("", _words("ALL NONE NIL A=1 ALL,B=2 HOME,C=3 A=1,B")),
    "open-mode": ("", _words("append truncate a x")),
    "signal": ("", _words("USR1 USR1@60 B:USR1@60 10 10@ @60 R:TERM X B:12@5 SIGUSR1@30")),
    "tmp": ("", _words("100 1G x")),
    "licenses": ("L", _words("matlab matlab:2 matlab:9 nosuch matlab:1,matlab:1 matlab:x")),
    "hint": ("", _words("compute_bound memory_bound multithread nomultithread x")),
    "distribution": ("m", _words("block cyclic block:cyclic plane=2 arbitrary x pack NoPack block:block:fcyclic")),
    "chdir": ("D", _words("/tmp sub /no/such .")),
    "kill-on-invalid-dep": ("", _words("yes no x")),
    "reservation": ("", ["nosuch", ""]),
    "quiet": ("Q", [None]),
    "parsable": ("", [None]),
    "bogus": ("", [None, "1"]),
    "test-only": ("", [None]),
}
"""Option → (its letter, values)."""

OFTEN = ("nodes", "ntasks", "cpus-per-task", "mem", "time", "partition", "job-name", "output", "array", "gres")
VARIABLES = {
    **{"time": "SBATCH_TIMELIMIT", "array": "SBATCH_ARRAY_INX", "mem": "SBATCH_MEM_PER_NODE"},
    **{"switches": "SBATCH_REQ_SWITCH", "job-name": "SBATCH_JOB_NAME", "open-mode": "SBATCH_OPEN_MODE"},
    **{
        name: f"SBATCH_{name.replace('-', '_').upper()}"
        for name in (
            *("partition", "account", "qos", "mem-per-cpu", "output", "error", "input", "gres", "gpus", "prefer"),
            *("constraint", "exclusive", "requeue", "no-requeue", "distribution", "hint", "signal", "export"),
            "comment",
        )
    },
}
ODD_LINES = (
    "#SBATCH",
    "# SBATCH -n 3",
    "##SBATCH -n 3",
    "#SBATCH -n 2 # note",
    "#SBATCH\t-n\t2",
    "#SBATCH -n2 -c2",
    "#PBS -N pbsname",
    "echo hi",
)


def case(name: str, chance: random.Random) -> dict[str, Any]:
    picked = dict.fromkeys(
        chance.sample(OFTEN, chance.randint(0, 2)) + chance.sample(sorted(POOL), chance.randint(1, 2))
    )
    argv, lines, variables = ["sbatch"], [], {}
    if "test-only" not in picked:
        argv.append(chance.choice(["-H", "--hold"]))
    for option in picked:
        value, where = chance.choice(POOL[option][1]), chance.random()
        if where < 0.12 and option in VARIABLES:
            variables[VARIABLES[option]] = value or ""
        elif where < 0.55:
            lines.append("#SBATCH " + shlex.join(_spelled(option, value, chance)))
        else:
            argv += _spelled(option, value, chance)
    if chance.random() < 0.08:
        lines.insert(0, chance.choice(ODD_LINES))
    argv.append("job.sh")
    if chance.random() < 0.15:
        argv += chance.sample(["one", "two words", "-n", "--flag"], 2)
    script = "".join(f"{line}\n" for line in ["#!/bin/sh", *lines, "true"])
    how: dict[str, Any] = {"user": "{USER}", "argv": argv, "files": {"job.sh": script}}
    if variables:
        how["env"] = variables
    return {"id": name, "group": "drawn", "how": how, "look": ["job"]}


def _spelled(option: str, value: str | None, chance: random.Random) -> list[str]:
    letter = POOL[option][0]
    if value is None:
        return [f"-{letter}" if letter and chance.random() < 0.5 else f"--{option}"]
    ways = [[f"--{option}={value}"]]
    if value:
        ways.append([f"--{option}", value])
    if letter and value:
        ways += [[f"-{letter}", value], [f"-{letter}{value}"]]
    return chance.choice(ways)


def main(number: str, seed: str, asked_file: str) -> int:
    chance = random.Random(int(seed))
    cases = [case(f"drawn-{seed}-{k}", chance) for k in range(int(number))]
    Path(asked_file).write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
