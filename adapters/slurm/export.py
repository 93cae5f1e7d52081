"""--export in all its forms: which of the submitter's variables travel with the job."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exported:
    environment: dict[str, str] | Mapping[str, str]
    load_login_environment: bool
    """The user's login environment is added on the node."""
    set_in_job: tuple[tuple[str, str], ...] = ()
    """SLURM_EXPORT_ENV, which also rules later srun calls, and SLURM_GET_USER_ENV."""


_ALWAYS = ("SLURM_", "SPANK_")


def apply(export: str | None, environ: Mapping[str, str], *, get_user_env: bool = False) -> Exported:
    """`export` as written; None: everything."""
    asked = (("SLURM_GET_USER_ENV", "1"),) if get_user_env else ()
    if export is None or export.upper() == "ALL":
        return Exported(environ, get_user_env, asked)
    told = (("SLURM_EXPORT_ENV", export),)
    kept = {name: value for name, value in environ.items() if name.startswith(_ALWAYS)}
    word = export.upper()
    if word == "NIL":
        return Exported(kept, get_user_env, told + asked)
    login = (("SLURM_GET_USER_ENV", "1"),)
    if word == "NONE":
        return Exported(kept, True, told + login)
    items = _split(export)
    if any(item.upper() == "ALL" for item in items):
        kept = dict(environ)
    for item in items:
        name, equals, value = item.partition("=")
        if equals:
            kept[name] = value
        elif name in environ:
            kept[name] = environ[name]
    return Exported(kept, True, told + login)


def complaint(export: str | None) -> str:
    """What sbatch says of a quote that is not closed; it goes on as if the quote ended with the text."""
    items, quote = _read(export or "")
    return f"Improperly formed environment variable ({items[-1]})" if quote else ""


def _split(text: str) -> list[str]:
    return _read(text)[0]


def _read(text: str) -> tuple[list[str], str]:
    """(the text at commas outside quotes; the quotes stay, the quote that is open at its end)"""
    if '"' not in text and "'" not in text:
        return text.split(","), ""
    items, begin, quote = [], 0, ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == ",":
            items.append(text[begin:at])
            begin = at + 1
    items.append(text[begin:])
    return items, quote


def from_file(content: bytes) -> dict[str, str]:
    """--export-file: NAME=value pairs, each ended by NUL."""
    pairs = content.decode("utf-8", "surrogateescape").split("\0")
    return {name: value for name, equals, value in (pair.partition("=") for pair in pairs) if equals and name}


def packed(environ: Mapping[str, str]) -> bytes:
    """NAME=value joined by NUL, as the store keeps it."""
    text = "\0".join([f"{name}={value}" for name, value in environ.items()])
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair that never was bytes
        return text.encode("utf-8", "replace")
