"""The SQL that a new cluster runs once (`galera.initdb`): what may lie in the folder, and the one archive of
it.

All files go to the nodes as one Docker config, packed: many configs make messages between the swarm's
managers and its hosts that are too large (moby/swarmkit#2733), and a node that has them all needs no order of
its own.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path

LARGEST = 500_000
"""Bytes of the archive: a Docker config holds no more."""
UNPACKED = 64 * 1024 * 1024
"""Bytes of all files: so much is a matter of a minute or two; more belongs through the VIP, where it can be
watched.
"""
KINDS = (".sql", ".sql.gz")
BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\xef\xbb\xbf": "UTF-8 with a byte order mark"}
STATEMENT = re.compile(rb"^\s*(?:create|alter)\s+(?:or\s+replace\s+)?table\b|^\)", re.IGNORECASE)
ENGINE = re.compile(rb"\bengine\s*=?\s*[`']?(\w+)", re.IGNORECASE)
REPLICATED = (b"innodb", b"sequence")
COLLATION = re.compile(rb"\bcollate\s*=?\s*[`']?(utf8mb4_\w*0900\w*)", re.IGNORECASE)
LACKS_COLLATIONS = "10.11"
"""From 11.4 on MariaDB has those of MySQL 8 under their own names."""
COLUMN = re.compile(rb"^\s*`[^`]+`\s")


def files(folder: str) -> list[Path]:
    """The files that are run, in the order of their names."""
    return sorted(path for path in Path(folder).iterdir() if path.is_file() and path.name.endswith(KINDS))


def bundle(folder: str) -> bytes:
    """All files as one archive; equal files give equal bytes."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in files(folder):
            text = path.read_bytes()
            info = tarfile.TarInfo(path.name)
            info.size, info.mode = len(text), 0o444
            tar.addfile(info, io.BytesIO(text))
    return packed.getvalue()


def problems(folder: str, strict: bool, version: str | None = None) -> Iterable[str]:
    """Why the first bootstrap could not run what lies in `folder`, a line each: file, reason, remedy.

    Args:
        strict: tables that are not replicated will be refused by the server.
        version: of the server, None for an unknown one.
    """
    place = Path(folder)
    if not place.is_dir():
        yield f"there is no folder {folder!r}. Remedy: give a path relative to the project, or null"
        return
    yield from _not_run(place)
    found = files(folder)
    if not found:
        yield f"{folder!r} holds no *.sql file. Remedy: add one, or set initdb to null"
    wrong = [problem for path in found for problem in _bad_file(path, strict, version)]
    yield from wrong
    if wrong:
        return
    total, packed = sum(len(_text(path)) for path in found), len(bundle(folder))
    if packed > LARGEST:
        yield (
            f"the files of {folder!r} have {packed} bytes when packed, and the Docker config that carries "
            f"them holds {LARGEST}. Remedy: {_VIA_VIP}"
        )
    elif total > UNPACKED:
        yield (
            f"the files of {folder!r} have {total} bytes, and {UNPACKED} are the most for a first bootstrap. "
            f"Remedy: {_VIA_VIP}"
        )


_VIA_VIP = (
    "keep what makes accounts and tables, and load the rest after the first `up` (docs/how-to/moving-in.md)"
)


def _not_run(place: Path) -> Iterable[str]:
    """What people put there for other images, and what would be passed over."""
    for path in sorted(place.iterdir()):
        name = path.name
        if name.startswith(".") or (path.is_file() and name.endswith(KINDS)):
            continue
        if path.is_dir():
            yield f"{name} is a folder: what is in it would not be run. Remedy: move its files up, or it away"
        elif name.lower().endswith(KINDS):
            yield f"{name} would not be run: only small letters count. Remedy: name it {name.lower()}"
        elif name.endswith(".sh"):
            yield f"{name} would not be run: only SQL is. Remedy: write it as *.sql, or move it elsewhere"
        else:
            yield f"{name} would not be run: only *.sql and *.sql.gz are. Remedy: move it elsewhere"


def _bad_file(path: Path, strict: bool, version: str | None) -> Iterable[str]:
    """What is wrong with one file that is to be run."""
    name = path.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,90}", name):
        yield f"{name!r} is no name that can be used. Remedy: use up to 90 letters, digits, . _ and - only"
        return
    try:
        text = _text(path)
    except (OSError, EOFError, zlib.error) as error:
        yield f"{name} can't be read: {error}. Remedy: make it readable, or pack it anew with gzip"
        return
    if not text.strip():
        yield f"{name} is empty. Remedy: remove it, or write something into it"
        return
    for mark, encoding in BOMS.items():
        if text.startswith(mark):
            yield f"{name} is {encoding}. Remedy: save it as plain UTF-8, by your editor or with iconv"
            return
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        yield (
            f"{name}, line {line}: this is not UTF-8. Remedy: convert it (`iconv -f latin1 -t utf-8`); "
            "for binary values make the dump anew with --hex-blob"
        )
        return
    yield from _bad_statements(name, text, strict, version)


def _bad_statements(name: str, text: bytes, strict: bool, version: str | None) -> Iterable[str]:
    """Definitions of tables that the server will refuse; the first of each kind. Rows are not looked at."""
    engine = False
    collation = version != LACKS_COLLATIONS  # of one that nobody knows, the server itself says so
    for number, line in enumerate(text.split(b"\n"), 1):
        defines = STATEMENT.match(line)
        if strict and not engine and defines and (found := ENGINE.search(line)):
            used = found[1].lower()
            if used not in REPLICATED and b"temporary" not in line.lower():
                engine = True
                yield (
                    f"{name}, line {number}: rows of {found[1].decode()} tables would stay on one node, "
                    "so the server refuses them. Remedy: write ENGINE=InnoDB (docs/how-to/moving-in.md), or "
                    "set galera.strictReplication: false"
                )
        if not collation and (defines or COLUMN.match(line)) and (found := COLLATION.search(line)):
            collation = True
            yield (
                f"{name}, line {number}: MariaDB {version} has no collation {found[1].decode()}, which is "
                "MySQL 8's. Remedy: write utf8mb4_general_ci (docs/how-to/moving-in.md)"
            )


def _text(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.name.endswith(".gz") else content
