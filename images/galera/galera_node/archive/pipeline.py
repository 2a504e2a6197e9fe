"""From a program or a file to an encrypted object: zstd, age and rclone in a row, counted and summed up.

Owns: that nothing becomes an object unless all of it came through: whoever fails, the upload is killed before
its input ends. Leaves to others: the programs' words (`bucket`, `base`), the key (`layout`).
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, BinaryIO

from .bucket import ENVIRONMENT, Bucket, brief

ZSTD = ("/usr/bin/nice", "-n", "10", "/usr/bin/zstd", "-q", "-3", "-T1", "-c")
AGE = ("/usr/bin/nice", "-n", "10", "/usr/bin/age", "--encrypt")
CHUNK = 1 << 20
POLL = 0.5  # seconds between two calls of who waits
ENDED = (-9, -13)
"""Exit codes of a part that ended because another one did: killed, or nobody took what it wrote."""


class PipelineError(Exception):
    """Nothing was made; the message says which part failed and how."""


@dataclass(frozen=True)
class Made:
    """An object that is there. Bytes before and stored; SHA-256 of what is stored."""

    before: int
    stored: int
    sha256: str


def store(
    source: Callable[[Callable[[bytes], None]], None],
    bucket: Bucket,
    key: str,
    recipients: Sequence[str],
    size: int = 0,
    upload: Sequence[str] = (),
    waiting: Callable[[], object] = lambda: None,
) -> Made:
    """Makes the object `key` of what `source` gives to the function that it is called with.

    Args:
        source: called in a thread of its own; returns once all is given. What it raises ends everything, and
            nothing was made.
        size: bytes at the most, as far as known.
        upload: a command instead of rclone's, for tests.
        waiting: called here, again and again, until all is stored: a store may take nothing for minutes, and
            may take as long over the last part. What it raises ends everything, too.

    Raises PipelineError; and what `source` and `waiting` raise.
    """
    words = [word for recipient in recipients for word in ("--recipient", recipient)]
    with tempfile.TemporaryFile() as said:
        zstd = _start(ZSTD, said, None)
        age = _start([*AGE, *words], said, zstd.stdout)
        up = subprocess.Popen(
            list(upload) or bucket.upload(key, size),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=ENVIRONMENT,
        )
        children = (zstd, age, up)
        _close(zstd.stdout)  # age has it
        feed, drain = _Feed(source, zstd), _Drain(age, up)
        drain.start()
        feed.start()
        try:
            ends = _ends(feed, drain, children, waiting)
            failed = {name: code for name, code in ends.items() if code}
            if failed or drain.error is not None:
                raise PipelineError(_why(failed, drain.error, said))
            return Made(feed.count, drain.count, drain.digest.hexdigest())
        finally:
            # In the order in which an end of input would make an object of half a stream.
            for child in reversed(children):
                if child.poll() is None:
                    child.kill()
                    child.wait()
            drain.join()
            feed.join()
            for child in children:
                _close(child.stdin)
                _close(child.stdout)


def _start(words: Sequence[str], said: IO[bytes], stdin: IO[bytes] | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(words),
        stdin=subprocess.PIPE if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=said,
    )


def _ends(
    feed: _Feed,
    drain: _Drain,
    children: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes], subprocess.Popen[bytes]],
    waiting: Callable[[], object],
) -> dict[str, int]:
    """How each part of the row has ended. Raises what the source and `waiting` raise."""
    zstd, age, up = children
    _joined(feed, waiting)
    if feed.error is not None:
        raise feed.error
    _joined(drain, waiting)
    ends = {"zstd": _ended(zstd, waiting), "age": _ended(age, waiting)}
    if drain.error is None and not any(ends.values()):
        _close(up.stdin)  # now, and only now, it is an object
    else:
        up.kill()
    return {**ends, "rclone": _ended(up, waiting)}


def _joined(thread: threading.Thread, waiting: Callable[[], object]) -> None:
    while thread.is_alive():
        thread.join(POLL)
        waiting()


def _ended(child: subprocess.Popen[bytes], waiting: Callable[[], object]) -> int:
    while True:
        try:
            return child.wait(POLL)
        except subprocess.TimeoutExpired:
            waiting()


class _Feed(threading.Thread):
    """From the source into the row."""

    def __init__(
        self, source: Callable[[Callable[[bytes], None]], None], zstd: subprocess.Popen[bytes]
    ) -> None:
        super().__init__(name="source", daemon=True)
        self._source, self._zstd = source, zstd
        self.count = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.count = _feed(self._source, self._zstd)
        except Exception as error:  # it is raised where it was started from
            self.error = error


def _feed(source: Callable[[Callable[[bytes], None]], None], zstd: subprocess.Popen[bytes]) -> int:
    """Bytes that the source gave. A later part of the row that ends early is told of by its own end."""
    count, sink, broken = 0, zstd.stdin, False
    if sink is None:
        raise AssertionError("it was started with this pipe")

    def give(data: bytes) -> None:
        nonlocal count, broken
        count += len(data)
        if not broken:
            try:
                sink.write(data)
            except OSError:
                broken = True
        if broken:
            raise Broken

    try:
        source(give)
    except Broken:
        return count
    with suppress(OSError):
        sink.close()
    return count


class Broken(Exception):
    """The row has ended; the source need not go on."""


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with suppress(OSError):
            pipe.close()


class _Drain(threading.Thread):
    """From age to the upload, counted and summed up."""

    def __init__(self, age: subprocess.Popen[bytes], up: subprocess.Popen[bytes]) -> None:
        super().__init__(name="archive", daemon=True)
        self._age, self._up = age, up
        self.count, self.digest = 0, hashlib.sha256()
        self.error: OSError | None = None

    def run(self) -> None:
        source, sink = self._age.stdout, self._up.stdin
        if source is None or sink is None:
            raise AssertionError("they were started with these pipes")
        try:
            while data := source.read(CHUNK):
                self.digest.update(data)
                self.count += len(data)
                sink.write(data)
            sink.flush()
        except (OSError, ValueError) as error:
            self.error = error if isinstance(error, OSError) else OSError(str(error))
            self._age.kill()


def _why(failed: dict[str, int], error: OSError | None, said: IO[bytes]) -> str:
    said.seek(0)
    words = brief(said.read().decode(errors="replace"))
    names = ", ".join(f"{name} ended with {code}" for name, code in failed.items() if code not in ENDED)
    return f"{names or error}: {words}"


def of_file(file: BinaryIO) -> Callable[[Callable[[bytes], None]], None]:
    """A file as a source, from its beginning."""

    def give(to: Callable[[bytes], None]) -> None:
        file.seek(0)
        while data := file.read(CHUNK):
            to(data)

    return give
