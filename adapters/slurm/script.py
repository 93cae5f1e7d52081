"""The batch script itself: where it comes from, and what sbatch refuses to submit. Text in, refusal or bytes out."""

from collections.abc import Mapping

from adapters.slurm.occurrences import Refusal

_MOST_PATH_FOLDERS = 64

_NO_MAGIC = (
    "This does not look like a batch script.  The first",
    "line must start with #! followed by the path to an interpreter.",
    "For instance: #!/bin/sh",
)
_DOS = ("Batch script contains DOS line breaks (\\r\\n)", "instead of expected UNIX line breaks (\\n).")
_NUL = ("The Slurm controller does not allow scripts that", "contain a NULL character '\\0'.")


class NeedsScript(Exception):
    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(*names)
        self.names = names
        """As the client is asked: `script: PATH` or `stdin`."""


def wrapped(text: str) -> bytes:
    return f"#!/bin/sh\n# Made from the text given to sbatch --wrap.\n\n{text}\n".encode("utf-8", "surrogateescape")


def of_file(
    operand: str, files: Mapping[str, bytes | str], environ: Mapping[str, str], exit_error: int, directory: str | None
) -> tuple[bytes, str]:
    """(content, path). A name without a path is looked for where sbatch is called, then in the folders of PATH.

    `directory`: that of --chdir on the command line. It is looked in instead, but what is nowhere else is still
    taken from where sbatch is called.
    """
    if operand[:1] in ("/", "."):
        places, others = [operand], []
    else:
        folders = [folder for folder in environ.get("PATH", "").split(":") if folder.startswith("/")]
        others = [f"{folder}/{operand}" for folder in folders[:_MOST_PATH_FOLDERS]]
        places = [operand] if directory is None else [f"{directory}/{operand}"]
        others += [operand] if directory is not None else []
    for paths in (places, others):
        missing = tuple(f"script: {path}" for path in paths if f"script: {path}" not in files)
        if missing:
            raise NeedsScript(missing)
        for path in paths:
            content = files[f"script: {path}"]
            if isinstance(content, bytes):
                return content, path
            if paths is places and content == "EISDIR":
                return b"", path
            if paths is places and content != "ENOENT":
                raise _refused((f"Unable to open file {operand}",), exit_error)
    raise _refused((f"Unable to open file {operand}",), exit_error)


def of_standard_input(files: Mapping[str, bytes | str]) -> bytes:
    content = files.get("stdin")
    if content is None:
        raise NeedsScript(("stdin",))
    return content if isinstance(content, bytes) else b""


def check(script: bytes, exit_error: int) -> None:
    if not script:
        raise _refused(("Batch script is empty!",), exit_error)
    if script[:2] != b"#!":
        if script.isspace():
            raise _refused(("Batch script contains only whitespace!",), exit_error)
        raise _refused(_NO_MAGIC, exit_error)
    if b"\0" in script:
        raise _refused(_NUL, exit_error)
    if b"\r\n" in script:
        raise _refused(_DOS, exit_error)


def _refused(lines: tuple[str, ...], exit_error: int) -> Refusal:
    return Refusal("".join(f"sbatch: error: {line}\n" for line in lines), exit_error)
