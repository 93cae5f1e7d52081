"""Builds an image's root folder from a Containerfile, without a container engine and without a registry.

python3 containerfile.py CONTAINERFILE CONTEXT CACHE BASE    prints the root folder; settings lie beside it

Knows the few instructions that ours uses (FROM, COPY, RUN, ENV, USER, ENTRYPOINT, CMD) and refuses all others. BASE is
the root folder that stands for an image of a registry. RUN happens in a chroot, as root. Each step is kept under a
hash of all that led to it, so that only what changed is done again.
"""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_CA = "/etc/ssl/certs/ca-certificates.crt"
_FOR_A_WHILE = {"etc/resolv.conf": "/etc/resolv.conf", "tmp/build-ca.crt": _CA}
"""Of the root, from this machine: what a container engine would give a build."""


@dataclass
class Stage:
    root: Path
    key: str
    settings: dict[str, object] = field(default_factory=dict)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """(name, words) with continued lines joined and comments left out."""
    joined = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or (not line.strip() and not joined):
            continue
        joined += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        name, _, words = joined.strip().partition(" ")
        yield name.upper(), words.strip()
        joined = ""


class Build:
    def __init__(self, context: Path, cache: Path, base: Path) -> None:
        self._context, self._cache, self._base = context, cache, base
        self._stages: dict[str, Stage] = {}
        self._used: set[Path] = set()
        self._now = Stage(base, "")

    def run(self, text: str) -> Stage:
        for name, words in instructions(text):
            match name:
                case "FROM":
                    self._from(words.split())
                case "COPY":
                    self._copy(words.split())
                case "RUN":
                    self._step(f"RUN {words}", lambda root, words=words: _chroot(root, words))
                case "ENV":
                    environment = dict(self._now.settings.get("Env", {}))  # type: ignore[call-overload]
                    environment.update(one.split("=", 1) for one in shlex.split(words))
                    self._now.settings["Env"] = environment
                case "USER":
                    self._now.settings["User"] = words
                case "ENTRYPOINT" | "CMD":
                    self._now.settings[name.capitalize()] = json.loads(words)
                case _:
                    raise SystemExit(f"containerfile: {name} is not known here")
        return self._now

    def drop_unused(self) -> None:
        for path in self._cache.iterdir():
            if path.is_dir() and path not in self._used:
                shutil.rmtree(path)

    def _from(self, words: list[str]) -> None:
        known = self._stages.get(words[0])
        self._now = Stage(known.root, known.key, dict(known.settings)) if known else Stage(self._base, words[0])
        if len(words) == 3:
            self._stages[words[2]] = self._now

    def _copy(self, words: list[str]) -> None:
        source, top = "", self._context
        if words[0].startswith("--from="):
            stage = self._stages[words.pop(0).removeprefix("--from=")]
            source, top = stage.key, stage.root
        *names, target = words
        paths = [top / name.lstrip("/") for name in names]
        digest = source or "".join(map(_digest, paths))

        def copy(root: Path) -> None:
            for path in paths:
                # A folder's content is copied, a file under its name where the target is a folder.
                goal = root / target.lstrip("/") / ("" if path.is_dir() or not target.endswith("/") else path.name)
                goal.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(path, goal, symlinks=True, dirs_exist_ok=True, ignore=ignored)
                else:
                    shutil.copy2(path, goal)

        self._step(f"COPY {' '.join(words)} {digest}", copy)

    def _step(self, told: str, change: object) -> None:
        key = hashlib.sha256(f"{self._now.key}\n{told}".encode()).hexdigest()[:16]
        root = self._cache / key
        if not root.exists():
            part = self._cache / f"{key}.part"
            shutil.rmtree(part, ignore_errors=True)
            subprocess.run(["cp", "-a", self._now.root, part], check=True)
            change(part)  # type: ignore[operator]
            part.rename(root)
        self._used.add(root)
        self._now.root, self._now.key = root, key


def _chroot(root: Path, words: str) -> None:
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    environment |= {"DEBIAN_FRONTEND": "noninteractive", "PIP_CERT": "/tmp/build-ca.crt"}
    with _lent(root):
        done = subprocess.run(
            ["chroot", root, "/bin/sh", "-c", words],
            check=False,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise SystemExit(f"containerfile: {words}\n{done.stdout.decode(errors='replace')[-3000:]}")


@contextlib.contextmanager
def _lent(root: Path) -> Iterator[None]:
    for name, path in _FOR_A_WHILE.items():
        shutil.copyfile(path, root / name)
    try:
        yield
    finally:
        for name in _FOR_A_WHILE:
            (root / name).unlink(missing_ok=True)


def _digest(path: Path) -> str:
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    made = hashlib.sha256()
    for one in files:
        if "__pycache__" not in one.parts:
            made.update(f"{one.relative_to(path.parent)} {one.stat().st_mode:o}\n".encode() + one.read_bytes())
    return made.hexdigest()


def main(words: list[str]) -> None:
    file, context, cache, base = map(Path, words)
    cache.mkdir(parents=True, exist_ok=True)
    build = Build(context, cache, base)
    stage = build.run(file.read_text())
    build.drop_unused()
    beside = stage.root.with_suffix(".json")
    beside.write_text(json.dumps(stage.settings))
    os.utime(stage.root)
    print(stage.root)


if __name__ == "__main__":
    main(sys.argv[1:])
