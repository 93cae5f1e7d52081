"""Commands of Slurm for which a bridge has nothing behind them: each says so in a sentence, and what to use instead."""

from collections.abc import Sequence

from adapters.slurm.answer import ANNOUNCEMENT, Answer

_SENTENCES = {
    "sattach": "the bridge cannot attach to a running step; `bridge logs -f ID` follows the output of its job",
    "sshare": "the bridge keeps no shares: jobs go by priority, nice value and arrival, whoever submitted them",
    "strigger": "the bridge keeps no triggers; --dependency and --mail-type of sbatch tell of the ends of jobs",
}

_SCRONTAB_USAGE = """\
usage:	scrontab [-u user] file
	scrontab [-u user] [ -e | -l | -r | -v]
	-e	Edit user's crontab (default action if stdin is a TTY)
	-l	List user's crontab
	-r	Delete user's crontab
	-u	User to edit crontab for
"""

COMMANDS = frozenset({*_SENTENCES, "scrontab"})


def answer(name: str, argv: Sequence[str]) -> Answer:
    if name == "scrontab":
        return _scrontab(argv)
    if any(word in ("-V", "--version") for word in argv):
        return Answer(ANNOUNCEMENT)
    if any(word in ("--help", "--usage") for word in argv):
        return Answer(f"{name}: {_SENTENCES[name]}\n")
    if name == "strigger" and "--get" in argv:
        return Answer()  # there are none, and programs ask
    return Answer(stderr=f"{name}: error: {_SENTENCES[name]}\n", exit_code=1)


def _scrontab(argv: Sequence[str]) -> Answer:
    """As a cluster on which it is switched off."""
    if any(word.startswith("--") or word.startswith("-V") or word == "-h" for word in argv):
        return Answer(stderr=_SCRONTAB_USAGE, exit_code=1)
    return Answer(stderr="scrontab: fatal: scrontab is disabled on this cluster\n", exit_code=1)
