"""From an object of the archive to its content: checked, decrypted, unpacked, as it comes.

Owns: that nothing counts unless all of it came through, its checksum is the manifest's and each program is
content; and the private key, which reaches age through a pipe alone: it is on no command line, in no
environment and on no disk. Leaves to others: where the bytes come from (`sources`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from ..backup_programs import MBSTREAM
from .catalog import Base, Log

AGE, ZSTD = "/usr/bin/age", "/usr/bin/zstd"
IDENTITY = re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]+")


PATIENCE = 60.0
"""Seconds for age to try a key."""
LONGEST = 32768
"""A pipe holds it, so that it need not be read at once."""
HEAD = 1 << 18
"""Bytes of an object by which its key is tried: age's head and its first piece are in it."""


class StreamError(Exception):
    """An object did not come through; the message says which and why."""


class Source(Protocol):
    """Where objects come from."""

    def pieces(self, key: str) -> Generator[bytes, None, None]:
        """The bytes of an object, below the cluster's folder. Raises StreamError."""


Tell = Callable[[str, int, int], None]
"""Hears how an object comes along: its key, bytes so far, bytes in all. What it raises ends all."""


def identity(text: str) -> str:
    """The private key as age takes it, from what a person gave. Raises StreamError, and shows none of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise StreamError(
            "No private key was given. Give age's identity (AGE-SECRET-KEY-1…) on standard input."
        )
    if not all(IDENTITY.fullmatch(line) for line in lines):
        raise StreamError(
            "What was given is no identity of age: each line must be AGE-SECRET-KEY-1… An identity with a "
            "passphrase must be decrypted first (age --decrypt FILE)."
        )
    key = "\n".join(lines) + "\n"
    if len(key) > LONGEST:
        raise StreamError(f"What was given is longer than the {LONGEST} characters that identities may have.")
    return key


def nothing(_key: str, _now: int, _all: int) -> None:
    """Tells nobody."""


def into_folder(source: Source, each: Base | Log, key: str, folder: Path, tell: Tell = nothing) -> None:
    """Unpacks a base with mbstream. Raises StreamError."""
    _through(source, each, key, [MBSTREAM, "-x", "-C", str(folder)], None, tell)


def into_file(source: Source, each: Base | Log, key: str, file: Path, tell: Tell = nothing) -> None:
    """Writes an object's content to a file. Raises StreamError."""
    with open(file, "wb") as out:
        into_open(source, each, key, out, tell)


def into_open(source: Source, each: Base | Log, key: str, out: IO[bytes], tell: Tell = nothing) -> None:
    """The same to a file that is open already. Raises StreamError."""
    _through(source, each, key, None, out, tell)


def readable(source: Source, each: Base | Log, key: str) -> None:
    """Whether the key opens an object, by its head alone. Raises StreamError."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as out, _Key(key) as way:
        age = subprocess.Popen(
            [AGE, "--decrypt", "--identity", way.path],
            stdin=subprocess.PIPE,
            stdout=out,  # no pipe, which nobody would read while age is being fed
            stderr=said,
            pass_fds=(way.reader,),
        )
        way.given()
        sink, sent = _pipe(age.stdin), 0
        try:
            with contextlib.closing(source.pieces(each.key)) as pieces, suppress(BrokenPipeError):
                for piece in pieces:
                    sink.write(piece)
                    sent += len(piece)
                    if sent >= HEAD:
                        break
            with suppress(BrokenPipeError):
                sink.close()
            code = age.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise StreamError(f"age has not tried the key on {each.key} within {PATIENCE:.0f} s") from None
        finally:
            if age.poll() is None:
                age.kill()
                age.wait()
        # It complains of the end that is missing, once it has written what it could read.
        if code != 0 and out.tell() == 0 and out.seek(0, 2) == 0:
            raise StreamError(_age(each, said))


class _Key:
    """The private key in a pipe that a child reads as a file."""

    def __init__(self, key: str) -> None:
        self.reader, self._writer = os.pipe()
        os.write(self._writer, key.encode())
        os.close(self._writer)
        self.path = f"/dev/fd/{self.reader}"
        self._open = True

    def given(self) -> None:
        """The child has it."""
        if self._open:
            os.close(self.reader)
            self._open = False

    def __enter__(self) -> _Key:
        return self

    def __exit__(self, *_: object) -> None:
        self.given()


def _through(
    source: Source, each: Base | Log, key: str, last: Sequence[str] | None, out: IO[bytes] | None, tell: Tell
) -> None:
    """age, zstd and perhaps one more in a row, fed with the object."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as others, _Key(key) as way:
        children: list[tuple[str, subprocess.Popen[bytes]]] = []
        try:
            age = subprocess.Popen(
                [AGE, "--decrypt", "--identity", way.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                pass_fds=(way.reader,),
            )
            way.given()
            children.append(("age", age))
            sink = subprocess.PIPE if last is not None else out
            zstd = subprocess.Popen([ZSTD, "-q", "-dc"], stdin=age.stdout, stdout=sink, stderr=others)
            children.append(("zstd", zstd))
            _pipe(age.stdout).close()
            if last is not None:
                unpack = subprocess.Popen(last, stdin=zstd.stdout, stdout=subprocess.DEVNULL, stderr=others)
                children.append((Path(last[0]).name, unpack))
                _pipe(zstd.stdout).close()
            digest = _feed(source, each, _pipe(age.stdin), tell)
            ends = {name: child.wait() for name, child in children}
        finally:
            for _, child in children:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            for _, child in children[:1]:
                with suppress(OSError):
                    _pipe(child.stdin).close()
        # The checksum first: what is damaged has every program complain.
        if digest != each.sha256:
            raise StreamError(
                f"{each.key} is damaged: its SHA-256 is {digest}, and its manifest says {each.sha256}"
            )
        if ends["age"] not in (0, -signal.SIGPIPE) and "broken pipe" not in _words(said):
            raise StreamError(_age(each, said))
        if failed := {name: code for name, code in ends.items() if code}:
            raise StreamError(_others(each, failed, others))


def _feed(source: Source, each: Base | Log, sink: IO[bytes], tell: Tell) -> str:
    """Gives the object to age; its SHA-256."""
    digest, sent, taken = hashlib.sha256(), 0, True
    for piece in source.pieces(each.key):
        digest.update(piece)
        sent += len(piece)
        if taken:
            try:
                sink.write(piece)
            except BrokenPipeError:
                # Read on: whether the object is damaged says more than that a program has ended.
                taken = False
        tell(each.key, sent, each.stored)
    with suppress(BrokenPipeError):
        sink.close()
    return digest.hexdigest()


def _age(each: Base | Log, said: IO[bytes]) -> str:
    words = _words(said)
    if "no identity matched" in words:
        return (
            f"{each.key} is encrypted for another key than the one that was given. Give the identity of one "
            "of the recipients in its manifest."
        )
    return f"{each.key} can't be decrypted: {words or 'age has said nothing'}"


def _others(each: Base | Log, failed: dict[str, int], said: IO[bytes]) -> str:
    words = _words(said)
    if "No space left" in words or "Errcode: 28" in words:
        return f"{each.key} does not fit on the disk: {words}"
    ended = ", ".join(f"{name} ended with {code}" for name, code in failed.items())
    return f"{each.key} can't be unpacked: {ended}: {words}"


def _words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if "report unexpected" not in line]
    return " / ".join(told[-3:])[:300]


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("the child was started with this pipe")
    return stream
