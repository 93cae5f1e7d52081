"""What a command prints and how it ends."""

from dataclasses import dataclass

VERSION = "25.11.8"
"""The release of Slurm whose words we speak."""

ANNOUNCEMENT = f"slurm {VERSION}\n"


@dataclass(frozen=True, slots=True)
class Answer:
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


def getopt_refusal(command: str, text: str, *, hint: bool = True) -> Answer:
    """A command line that getopt refuses: exit code 1, as all commands but sbatch have it."""
    more = f'Try "{command} --help" for more information\n' if hint else ""
    return Answer(stderr=f"{command}: {text}\n{more}", exit_code=1)
