"""`bridge translate`: reads a script as sbatch would, on this machine and as this user, and says what it found."""

import errno
import json
import os
import socket
import time
from dataclasses import dataclass, replace

from adapters.slurm import foreseen, translate
from adapters.slurm import request as sbatch
from bridge.core.errors import Refused
from bridge.core.users import User
from bridge.identity.people import People
from bridge.settings import Settings


@dataclass(frozen=True, slots=True)
class Translation:
    text: str
    as_json: str
    stderr: str = ""
    exit_code: int = 0


def of_words(words: list[str], settings: Settings) -> Translation:
    """`words` as on sbatch's command line. Files that they name are read here."""
    user = People(settings.users).find(os.geteuid())
    if user is None:
        raise Refused(f"no user has the uid {os.geteuid()} on this host")
    call = sbatch.Call(
        argv=tuple(words),
        environ=dict(os.environ),
        working_directory=os.getcwd(),
        umask=_umask(),
        rlimits=(),
        host=socket.gethostname(),
        user=user,
        is_root=user.uid == 0,
        now=time.time(),
        files={},
    )
    found = sbatch.read(call, settings.site)
    while isinstance(found, sbatch.Needs):
        call = replace(call, files={**call.files, **{wanted: _file(wanted) for wanted in found.files}})
        found = sbatch.read(call, settings.site)
    if isinstance(found, sbatch.Answer):
        told = json.dumps({"refused": found.stderr, "exit_code": found.exit_code}) + "\n" if found.exit_code else ""
        return Translation(found.stdout, told, found.stderr, found.exit_code)
    seen = _foreseen(found, settings, user, call.now)
    told = json.dumps(translate.to_json(found.report, found.request, seen), indent=2) + "\n"
    return Translation(translate.render(found.report, found.request, seen), told, found.stderr)


def _foreseen(found: sbatch.Parsed, settings: Settings, user: User, now: float) -> foreseen.Foreseen:
    """On the nodes of the site file: what a cluster has is not asked for."""
    site, names = settings.site, found.request.component.partitions
    chosen = [site.partition(name) for name in names] if names else [site.default_partition]
    for partition in chosen:
        if partition is not None and not any(node.backend == partition.backend for node in settings.nodes):
            return foreseen.Foreseen(
                None, f"the nodes of {partition.name} are known to a running bridge only: POST /v1/translate tells more"
            )
    return foreseen.of(found.request, found.script, found.environment, user, site, settings.nodes, now)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _file(wanted: str) -> bytes | str:
    """Its content, or the name of the error, as sbatch's client would send it."""
    path: int | str = 0 if wanted == "stdin" else wanted.partition(": ")[2]
    try:
        with open(path, "rb", closefd=path != 0) as file:
            return file.read()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "EIO")
    except ValueError:  # a NUL in the name
        return "ENOENT"
