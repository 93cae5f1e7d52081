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
    operand: str, files: Mapping[str, bytes | str], environ: Mapping[str, str], exit_error: int
) -> tuple[bytes, str]:
    """(content, path): the name itself, else, as a shell would, from the folders of PATH."""
    content = files.get(f"script: {operand}")
    if content is None:
        raise NeedsScript((f"script: {operand}",))
    if isinstance(content, bytes):
        return content, operand
    if content == "EISDIR":
        return b"", operand
    if content == "ENOENT" and operand[:1] not in ("/", "."):
        folders = [folder for folder in environ.get("PATH", "").split(":") if folder.startswith("/")]
        paths = [f"{folder}/{operand}" for folder in folders[:_MOST_PATH_FOLDERS]]
        missing = tuple(f"script: {path}" for path in paths if f"script: {path}" not in files)
        if missing:
            raise NeedsScript(missing)
        for path in paths:
            content = files[f"script: {path}"]
            if isinstance(content, bytes):
                return content, path
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
