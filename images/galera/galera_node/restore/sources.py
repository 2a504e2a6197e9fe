"""Where the objects of the archive come from: the bucket, or a stream that somebody else sends.

The second one is for a server without a network: the database's container fetches, and the scratch server's
gets the objects on its standard input, in the order of the plan.
"""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import IO, Any

from ..archive.bucket import ENVIRONMENT
from .catalog import Base, Log
from .plan import Lost, Plan
from .streams import StreamError
from .target import Latest

CHUNK = 1 << 20
LENGTH = struct.Struct(">I")
Command = Callable[[str], list[str]]
"""A command that prints the object of that key, below the cluster's folder."""


class Fetched:
    """Objects that a command prints. `brief`: what its standard error comes to."""

    def __init__(self, command: Command, brief: Callable[[str], str]) -> None:
        self._command, self._brief = command, brief

    def pieces(self, key: str) -> Generator[bytes, None, None]:
        """As `streams.Source`."""
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                self._command(key),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env=ENVIRONMENT,
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

    def pieces(self, key: str) -> Generator[bytes, None, None]:
        """As `streams.Source`."""
        head = json.loads(self.frame() or b"{}")
        if head.get("key") != key:
            raise StreamError(f"{key} was to come, and {head.get('key', 'nothing')} came")
        while piece := self.frame():
            yield piece
        end = json.loads(self.frame() or b"{}")
        if end.get("failed") is not None:
            raise StreamError(str(end["failed"]) or f"{key} was not sent to its end")

    def frame(self) -> bytes:
        """The next piece, empty at the end of a row of them. Raises StreamError."""
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


def head(out: IO[bytes], plan: Plan, options: str = "") -> None:
    """Sends the plan, before its objects. `options`: the server's option file of the stack."""
    said = {
        "options": options,
        "domain": plan.domain,
        "timeline": plan.timeline,
        "number": plan.number,
        "chain": [_plain(base) for base in plan.chain],
        "logs": [_plain(log) for log in plan.logs],
    }
    data = json.dumps(said).encode()
    out.write(LENGTH.pack(len(data)) + data)


def plan_from(stream: IO[bytes]) -> tuple[Plan, str]:
    """The plan that `head` has sent, and the options. Raises StreamError."""
    try:
        said = json.loads(Framed(stream).frame())
        plan = Plan(
            target=Latest(),
            timeline=str(said["timeline"]),
            domain=int(said["domain"]),
            chain=tuple(Base(**_typed(base)) for base in said["chain"]),
            logs=tuple(Log(**_typed(log)) for log in said["logs"]),
            number=int(said["number"]),
            lost=Lost(),
        )
        return plan, str(said["options"])
    except (ValueError, TypeError, KeyError) as error:
        raise StreamError(f"what came is no plan of a restore: {error!r}") from None


def _plain(each: Base | Log) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(each).items()
    }


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    times = ("begun", "ended", "began")
    return {name: datetime.fromisoformat(value) if name in times else value for name, value in values.items()}
