"""The agent as one archive that a python3 of the job's image runs: its code, and the commands of a job."""

import hashlib
import io
import pathlib
import sys
import zipfile

from bridge.agent import pod

_BRIDGE = pathlib.Path(pod.__file__).resolve().parents[1]
_FILES = ("__init__.py", "agent/*.py", "cli/__init__.py", "cli/client.py", "cli/shims.py")
_ENTRY = """\
import os
import sys
import zipfile

archive, library = os.path.dirname(os.path.abspath(__file__)), "/bridge/run/lib"
if sys.argv[1:2] == ["copy"]:
    library = archive
elif not os.path.isdir(library):
    # Commands of the job are run by path, and by Pythons that are started often: from files, not from the archive.
    part = library + ".part"
    zipfile.ZipFile(archive).extractall(part)
    os.rename(part, library)
sys.path[0] = library
from bridge.agent import pod
sys.exit(pod.main(sys.argv[1:], library))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build() -> tuple[str, bytes]:
    """(name, bytes): the same code gives the same bytes, another release another name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__main__.py", _ENTRY.encode())
        for pattern in _FILES:
            for path in sorted(_BRIDGE.glob(pattern)):
                _add(archive, f"bridge/{path.relative_to(_BRIDGE).as_posix()}", path.read_bytes())
    data = out.getvalue()
    return f"bridge-agent-{hashlib.sha256(data).hexdigest()[:10]}", data


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_bytes(build()[1])
