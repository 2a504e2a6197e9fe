"""The bucket, through Debian's rclone: put, list, read, delete.

Owns: rclone's configuration, which has the keys and so is a file in memory that only this user may read:
nothing secret is in an argument or in the environment. Leaves to others: keys (`layout`), what is in the
objects.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from .plan import Target

RCLONE = "/usr/bin/rclone"
REMOTE = "archive"
PATIENCE = 120.0
"""Seconds for one question; an upload is waited for as long as it goes on."""
MANY = 3600.0
"""Seconds for a question about many objects: a list of a year's logs comes a thousand at a time."""
POLL = 0.5
"""Seconds between two calls of who waits."""
PART = 16
"""MB (2^20) of one part of an upload, at the least; rclone holds three in memory."""
PARTS = 9000
"""Into how many an upload is cut at the most: a store takes 10,000."""
OTHERS = ("--s3-upload-concurrency", "2", "--transfers", "1", "--retries", "3", "--low-level-retries", "5")
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
"""Of the container's environment nothing: rclone would take what begins with RCLONE_ or AWS_."""
TIMES = ("--contimeout", "15s", "--timeout", "60s")
CLOCK = 15.0
"""Seconds for the store to say what time it is."""
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""The system's, which rclone trusts, too."""


class BucketError(Exception):
    """The object store does not answer or refuses; the message has rclone's own words."""


@dataclass(frozen=True)
class Listed:
    """One object: its key below the folder that was asked for, and its size in bytes."""

    key: str
    size: int


def configuration(target: Target, access: str, secret: str) -> str:
    """rclone's file."""
    values = {
        "type": "s3",
        "provider": "Other",
        "access_key_id": access,
        "secret_access_key": secret,
        "endpoint": target.endpoint,
        "region": target.region,
        "force_path_style": "true",
        # The bucket is there, or is an error: it is not made by whoever writes to it.
        "no_check_bucket": "true",
    }
    return f"[{REMOTE}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


class Bucket:
    """One bucket. `folder`: in memory, this program's own.

    Attributes:
        waiting: called again and again while the store is waited for; what it raises ends the question. An
            upload has its own (`pipeline`).
    """

    def __init__(self, target: Target, access: str, secret: str, folder: Path) -> None:
        self._target, self._bucket, self._folder = target, target.bucket, folder
        self.waiting: Callable[[], object] = lambda: None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._config = folder / "rclone.conf"
        self._write(self._config, configuration(target, access, secret))
        self._trust: tuple[str, ...] = ()
        if target.authority:
            authority = folder / "authority.crt"
            self._write(authority, target.authority)
            self._trust = ("--ca-cert", str(authority))

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.unlink(missing_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as out:
            out.write(text)

    def command(self, *words: str) -> list[str]:
        """A command line of rclone."""
        return [RCLONE, "--config", str(self._config), *self._trust, *TIMES, *OTHERS, *words]

    def at(self, key: str) -> str:
        """An object or a folder, as rclone names it."""
        return f"{REMOTE}:{self._bucket}/{key}"

    def upload(self, key: str, size: int = 0) -> list[str]:
        """The command that makes an object of its standard input. `size`: bytes at the most, if known."""
        part = max(PART, -(-size // PARTS >> 20))
        return self.command("rcat", "--s3-chunk-size", f"{part}M", self.at(key))

    def put(self, key: str, text: str) -> None:
        """Writes a small object. Raises BucketError."""
        self._run(self.upload(key), text.encode())

    def read(self, key: str) -> str:
        """A small object. Raises BucketError."""
        return self._run(self.command("cat", self.at(key))).decode(errors="replace")

    def listed(self, folder: str, *, deep: bool = True) -> list[Listed]:
        """What is below a folder; nothing if there is no such folder. Raises BucketError."""
        words = ["lsjson", "--no-modtime", "--no-mimetype", *(["-R", "--files-only"] if deep else [])]
        try:
            text = self._run(self.command(*words, self.at(folder)), patience=MANY)
        except BucketError as error:
            if "directory not found" in str(error):
                return []
            raise
        try:
            return [Listed(str(entry["Path"]), int(entry["Size"])) for entry in json.loads(text)]
        except (ValueError, TypeError, KeyError) as error:
            raise BucketError(f"rclone lists {folder} in a form that is not known: {error!r}") from None

    def delete(self, key: str) -> None:
        """Deletes an object; one that is not there is no error. Raises BucketError."""
        try:
            self._run(self.command("deletefile", self.at(key)))
        except BucketError as error:
            if "not found" not in str(error) and "is a directory" not in str(error):
                raise

    def delete_all(self, folder: str, keys: Sequence[str]) -> None:
        """Deletes objects below a folder, by one program: one each would take an hour for a day's logs.

        Those that are not there are no error. Raises BucketError.
        """
        if not keys:
            return
        with tempfile.NamedTemporaryFile("w", dir=self._folder) as names:
            names.write("".join(f"{key}\n" for key in keys))
            names.flush()
            words = ("delete", "--files-from-raw", names.name, self.at(folder))
            self._run(self.command(*words), patience=MANY)

    def purge(self, folder: str) -> None:
        """Deletes all below a folder, manifests first. Raises BucketError."""
        keys = [entry.key for entry in self.listed(folder)]
        self.delete_all(folder, [key for key in keys if key.endswith(".json")])
        self.delete_all(folder, [key for key in keys if not key.endswith(".json")])

    def written(self, key: str) -> datetime:
        """When an object was written, by the store's own clock. Raises BucketError."""
        words = ("lsjson", "--stat", "--use-server-modtime", "--no-mimetype", self.at(key))
        text = self._run(self.command(*words))
        try:
            found = json.loads(text)
            if found["IsDir"]:
                raise BucketError(f"{key} is not there")
            return datetime.fromisoformat(found["ModTime"])
        except (ValueError, TypeError, KeyError) as error:
            raise BucketError(f"rclone tells of {key} in a form that is not known: {error!r}") from None

    def clock(self) -> datetime:
        """What time it is by the store's own clock: any answer says so, also one that refuses. Raises
        BucketError.

        Not by rclone, which tells times of objects alone: a store that is full takes no new one.
        """
        try:
            with closing(self._connection()) as connection:
                connection.request("HEAD", f"/{self._bucket}")
                said = parsedate_to_datetime(connection.getresponse().headers["Date"])
        except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
            raise BucketError(f"the object store does not say what time it is: {error!r}") from None
        return said if said.tzinfo is not None else said.replace(tzinfo=UTC)

    def _connection(self) -> http.client.HTTPConnection:
        """To the store. Raises OSError, ValueError."""
        place = urlsplit(self._target.endpoint)
        if place.scheme != "https":
            return http.client.HTTPConnection(place.hostname or "", place.port, timeout=CLOCK)
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._target.authority:
            trust.load_verify_locations(cadata=self._target.authority)
        else:
            trust.load_verify_locations(AUTHORITIES)
        return http.client.HTTPSConnection(place.hostname or "", place.port, timeout=CLOCK, context=trust)

    def clean(self, folder: str) -> None:
        """Ends uploads to below a folder that were begun a day ago and never came to their end; the store
        charges for them. Others' in the same bucket are theirs; but a folder whose name goes on where this
        one's ends is taken for it by rclone, so it must be one like which nobody else has any. Raises
        BucketError.
        """
        self._run(self.command("backend", "cleanup", "-o", "max-age=24h", self.at(folder)), patience=MANY)

    def _run(self, words: list[str], stdin: bytes = b"", patience: float = PATIENCE) -> bytes:
        """What it writes; raises BucketError, and what `waiting` raises."""
        pipe = subprocess.PIPE
        with tempfile.TemporaryFile(dir=self._folder) as given:
            given.write(stdin)
            given.seek(0)
            try:
                child = subprocess.Popen(words, stdin=given, stdout=pipe, stderr=pipe, env=ENVIRONMENT)
            except OSError as error:
                raise BucketError(f"{words[0]} can't be run: {error}") from None
        with child:
            try:
                out, said = self._communicate(child, patience)
            finally:
                if child.poll() is None:
                    child.kill()
        if child.returncode != 0:
            raise BucketError(brief(said.decode(errors="replace")))
        return out

    def _communicate(self, child: subprocess.Popen[bytes], patience: float) -> tuple[bytes, bytes]:
        until = time.monotonic() + patience
        while True:
            with suppress(subprocess.TimeoutExpired):
                return child.communicate(timeout=POLL)
            self.waiting()
            if time.monotonic() > until:
                raise BucketError(f"the object store has not answered for {patience:.0f} s")


def brief(said: str) -> str:
    """Last words that say why, in one line: of rclone with the cause that it tells, of age before it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if own := [line for line in lines if line.startswith(("age: error:", "zstd: error"))]:
        return own[0][:300]
    told = [
        number
        for number, line in enumerate(lines)
        if "ERROR" in line or "Failed to" in line or ("error" in line.lower() and "caused by" not in line)
    ]
    if not lines:
        return "rclone has said nothing"
    text = " ".join(lines[told[-1] :]) if told else lines[-1]
    return (text.partition(" : ")[2] or TIME.sub("", text))[:300]


TIME = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")
