"""Where the objects of the archive come from: the bucket, or a stream that somebody else sends.

The second one is for a server without a network: the database's container fetches, and the scratch server's
gets the objects on its standard input, in the order of the plan.
"""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any

from .catalog import Catalog, catalog
from .streams import StreamError

CHUNK = 1 << 20
LENGTH = struct.Struct(">I")
Command = Callable[[str], list[str]]
"""A command that prints the object of that key, below the cluster's folder."""


class Fetched:
    """Objects that a command prints. `brief`: what its standard error comes to."""

    def __init__(self, command: Command, brief: Callable[[str], str]) -> None:
        self._command, self._brief = command, brief

    def pieces(self, key: str) -> Iterator[bytes]:
        """As `streams.Source`."""
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                self._command(key), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            )
            out = child.stdout
            if out is None:
                raise AssertionError("it was started with this pipe")
            try:
                while piece := out.read(CHUNK):
                    yield piece
                code = child.wait()
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
                out.close()
            if code != 0:
                said.seek(0)
                words = self._brief(said.read().decode(errors="replace"))
                raise StreamError(f"{key} can't be fetched: {words}")


class Framed:
    """Objects that come one after the other, as `send` writes them. Each can be read once, in that order."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def pieces(self, key: str) -> Iterator[bytes]:
        """As `streams.Source`."""
        head = json.loads(self._frame() or b"{}")
        if head.get("key") != key:
            raise StreamError(f"{key} was to come, and {head.get('key', 'nothing')} came")
        while piece := self._frame():
            yield piece
        end = json.loads(self._frame() or b"{}")
        if end.get("failed") is not None:
            raise StreamError(str(end["failed"]) or f"{key} was not sent to its end")

    def _frame(self) -> bytes:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            piece = self._stream.read(count - len(parts))
            if not piece:
                raise StreamError("what sends the archive has gone: its own words say why")
            parts += piece
        return bytes(parts)


def send(source: Any, keys: Sequence[str], out: IO[bytes]) -> None:
    """Sends objects to a `Framed`. What keeps one from coming to its end is told there, and ends it."""

    def frame(data: bytes) -> None:
        out.write(LENGTH.pack(len(data)) + data)

    for key in keys:
        frame(json.dumps({"key": key}).encode())
        failed = None
        try:
            for piece in source.pieces(key):
                frame(piece)
        except StreamError as error:
            failed = str(error)
        frame(b"")
        frame(json.dumps({"failed": failed}).encode())
        out.flush()
        if failed is not None:
            raise StreamError(failed)


def listed(names: Sequence[str], read: Callable[[str], str]) -> Catalog:
    """The catalog of an archive.

    Args:
        names: of all objects below the cluster's folder. read: the text of one; what it raises is raised.
    """
    manifests: dict[str, Any] = {}
    for name in names:
        if name.endswith(".json"):
            text = read(name)
            manifests[name] = text
            with suppress(ValueError):
                manifests[name] = json.loads(text)
    return catalog(manifests)
