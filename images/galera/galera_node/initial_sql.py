"""The SQL that a new cluster runs once: which files, in which order, and what a failure means.

Files come from a folder, as in other images of databases, or in one archive: the program that deploys a stack
brings its own so (one Docker config instead of many). Both may be there; the names decide the order. A file
is `*.sql`, or `*.sql.gz`.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .words import log

KINDS = (".sql", ".sql.gz")
REMEDIES = {
    1050: "the table is there already: an earlier file has made it",
    1133: "there is no such account: make it before it is granted anything",
    1273: "this server has no such collation: of a MySQL 8 dump, write utf8mb4_general_ci instead",
    1396: "the account is there already, or not at all; the application's is made before the initial SQL",
    4165: "rows of this engine would stay on one node: write ENGINE=InnoDB",
}
"""By MariaDB's number of an error, what is most often meant and what helps."""


class BundleError(Exception):
    """An archive or a packed file can't be read; the message names it."""


@dataclass(frozen=True)
class Script:
    """One file. `open`: gives its content as it lies there, packed or not."""

    name: str
    open: Callable[[], IO[bytes]]

    @contextlib.contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Its text as a real file, which a child may have as its standard input. Raises BundleError."""
        with self.open() as source, tempfile.TemporaryFile() as text:
            try:
                unpacked = gzip.GzipFile(fileobj=source) if self.name.endswith(".gz") else source
                shutil.copyfileobj(unpacked, text)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise BundleError(f"{self.name} can't be unpacked: {error}") from None
            text.seek(0)
            yield text


def scripts(folder: Path, bundle: Path) -> list[Script]:
    """All files in the order of their names. Raises BundleError."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.endswith(KINDS):
            found.append(Script(path.name, functools.partial(_file, path)))
        elif not path.name.startswith("."):
            log(f"{path} is no *.sql or *.sql.gz: it is not run")
    if bundle.exists():
        try:
            with tarfile.open(bundle, "r:gz") as tar:
                names = [info.name for info in tar if info.isfile()]
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise BundleError(f"{bundle} can't be read: {error}") from None
        found += [Script(name, functools.partial(_member, bundle, name)) for name in names]
    return sorted(found, key=lambda script: script.name)


def explained(words: str) -> str:
    """The client's words with a remedy, where one is known."""
    number = re.search(r"ERROR (\d+)", words)
    remedy = REMEDIES.get(int(number[1])) if number else None
    return f"{words} ({remedy})" if remedy else words


def _file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _member(bundle: Path, name: str) -> IO[bytes]:
    """One file of the archive, on disk for as long as it is open."""
    copy: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(bundle, "r:gz") as tar:
        source = tar.extractfile(name)
        assert source is not None
        shutil.copyfileobj(source, copy)
    copy.seek(0)
    return copy
