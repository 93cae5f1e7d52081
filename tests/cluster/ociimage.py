"""An OCI image archive, for `ctr images import`, from a root folder: one uncompressed layer.

python3 ociimage.py ROOTFS NAME ARCHIVE COMMAND...    (IMAGE_ENVIRONMENT: lines of its environment)

What containerfile.py wrote beside the root folder, ROOTFS.json, goes before both.
"""

import hashlib
import io
import json
import os
import sys
import tarfile
from typing import Any

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def write(rootfs: str, name: str, archive: str, command: list[str]) -> None:
    layer_path = archive + ".layer"
    with tarfile.open(layer_path, "w") as layer_tar:
        layer_tar.add(rootfs, arcname=".")
    try:
        with open(layer_path, "rb") as file:
            layer_digest = hashlib.file_digest(file, "sha256").hexdigest()
        config = _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": command, "Env": _environment(), **_written(rootfs)},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, config),
                "layers": [
                    {"mediaType": _LAYER, "digest": f"sha256:{layer_digest}", "size": os.path.getsize(layer_path)}
                ],
            }
        )
        names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
        index = _json({"schemaVersion": 2, "manifests": [{**_descriptor(_MANIFEST, manifest), "annotations": names}]})
        with tarfile.open(archive, "w") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(tar, "index.json", index)
            for blob in (config, manifest):
                _add(tar, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
            tar.add(layer_path, arcname=f"blobs/sha256/{layer_digest}")
    finally:
        os.remove(layer_path)


def _written(rootfs: str) -> dict[str, Any]:
    try:
        with open(f"{rootfs}.json") as file:
            found: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return {}
    return {**found, "Env": [f"{name}={value}" for name, value in found.get("Env", {}).items()] or _environment()}


def _environment() -> list[str]:
    """IMAGE_ENVIRONMENT has NAME=value lines; without any the image sets PATH."""
    return [line for line in os.environ.get("IMAGE_ENVIRONMENT", "").splitlines() if line] or [_PATH]


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
