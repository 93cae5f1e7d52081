"""The text of PMI, both versions: a rank's bytes in, requests out; answers as bytes. Pure.

Version 1 has lines of words, `cmd=put kvsname=K key=A value=B`; version 2 six characters of decimal length, then
`cmd=kvs-put;key=A;value=B;`, with `;` doubled inside a value. Both begin with a line of version 1 that names one.
"""

from __future__ import annotations

from typing import Dict, Mapping, Union

Fields = Mapping[str, Union[str, int]]

_LINE_LIMIT_BYTES = 1 << 20
_LENGTH_BYTES = 6


class Reader:
    """What one rank says. `version` is changed by whoever answers its first line."""

    def __init__(self) -> None:
        self.version = 1
        self._data = b""
        self._spawn: "Dict[str, str] | None" = None
        """Within a request to spawn, which has several lines: which one of how many it is."""

    def feed(self, data: bytes) -> None:
        self._data += data

    def take(self) -> "Dict[str, str] | None":
        """The next request that is there whole; `cmd` has dashes in either version. Raises ValueError."""
        while True:
            text = self._line() if self.version == 1 else self._message()
            if text is None:
                return None
            request = self._of_line(text) if self.version == 1 else _of_message(text)
            if request is not None:
                request["cmd"] = request.get("cmd", "").replace("_", "-")
                return request

    def _line(self) -> "str | None":
        line, newline, rest = self._data.partition(b"\n")
        if not newline:
            if len(self._data) > _LINE_LIMIT_BYTES:
                raise ValueError("a line without end")
            return None
        self._data = rest
        return line.decode("utf-8", "surrogateescape")

    def _message(self) -> "str | None":
        if len(self._data) < _LENGTH_BYTES:
            return None
        end = _LENGTH_BYTES + int(self._data[:_LENGTH_BYTES])
        if end < _LENGTH_BYTES:
            raise ValueError("a negative length")
        if len(self._data) < end:
            return None
        body, self._data = self._data[_LENGTH_BYTES:end], self._data[end:]
        return body.decode("utf-8", "surrogateescape")

    def _of_line(self, text: str) -> "Dict[str, str] | None":
        if self._spawn is not None or text.startswith("mcmd="):
            return self._of_spawn(text)
        words, separator, value = text.partition(" value=")
        found = dict(_pair(word) for word in words.split())
        if separator:
            found["value"] = value
        return found

    def _of_spawn(self, text: str) -> "Dict[str, str] | None":
        """Of several programs each comes as a request of its own; the last one is answered."""
        counts = self._spawn or {}
        name, value = _pair(text)
        if name in ("totspawns", "spawnssofar"):
            counts[name] = value
        self._spawn = None if text == "endcmd" else counts
        is_last = text == "endcmd" and counts.get("totspawns") == counts.get("spawnssofar")
        return {"cmd": "spawn"} if is_last else None


def _of_message(text: str) -> Dict[str, str]:
    parts = (part.replace("\0", ";") for part in text.replace(";;", "\0").split(";"))
    return dict(_pair(part) for part in parts if part)


def _pair(word: str) -> "tuple[str, str]":
    name, _, value = word.partition("=")
    return name, value


def line(name: str, fields: Fields) -> bytes:
    """An answer of version 1."""
    words = "".join(f" {key}={value}" for key, value in fields.items())
    return f"cmd={name}{words}\n".encode("utf-8", "surrogateescape")


def message(name: str, fields: Fields) -> bytes:
    """An answer of version 2."""
    pairs = "".join(f"{key}={str(value).replace(';', ';;')};" for key, value in fields.items())
    body = f"cmd={name};{pairs}".encode("utf-8", "surrogateescape")
    return b"%-6d%s" % (len(body), body)
