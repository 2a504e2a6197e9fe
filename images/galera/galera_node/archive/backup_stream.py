"""What mariadb-backup notes of a backup, taken from its stream while that goes by.

The notes are small files among the tables' (`mbstream`): the position in the binary log, Galera's, and
InnoDB's. Owns: the stream's form (XBSTCK01, as `mbstream` reads it), which files these are. Leaves to others:
where the stream goes (`pipeline`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

MAGIC = b"XBSTCK01"
HEAD = struct.Struct("<8sBBI")  # magic, flags, type, length of the path
PAYLOAD = struct.Struct("<QQI")  # length, offset, checksum
LONGEST = 1 << 16
"""Bytes of a note that are kept; a path is never longer."""
NOTES = ("_binlog_info", "_galera_info", "_checkpoints")
"""How the names end: 10.11 begins them with `xtrabackup`, later versions with `mariadb_backup`."""


class StreamError(Exception):
    """The stream is not one that mariadb-backup writes, or lacks a note."""


class Notes:
    """Keeps the notes of a stream that it is shown piece by piece."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._head = bytearray()  # of a chunk, as far as it has come
        self._skip = 0  # bytes of a payload that are still to come
        self._into: str | None = None  # the note that they belong to

    def feed(self, data: bytes | memoryview) -> None:
        """The next piece. Raises StreamError."""
        view = memoryview(data)
        while view:
            if self._skip:
                part, view = view[: self._skip], view[self._skip :]
                self._skip -= len(part)
                if self._into is not None and len(self.files[self._into]) < LONGEST:
                    self.files[self._into] += bytes(part)
                continue
            need = self._needed()
            self._head += view[:need]
            view = view[need:]
            if self._needed() == 0:
                self._chunk()

    def _needed(self) -> int:
        """Bytes that the head of the chunk still lacks."""
        have = len(self._head)
        if have < HEAD.size:
            return HEAD.size - have
        magic, _flags, kind, path = HEAD.unpack_from(self._head)
        path = int(path)
        if magic != MAGIC or path > LONGEST:
            raise StreamError("mariadb-backup's stream is not as this program knows it")
        return HEAD.size + path + (PAYLOAD.size if kind == ord("P") else 0) - have

    def _chunk(self) -> None:
        _magic, _flags, kind, length = HEAD.unpack_from(self._head)
        if kind not in b"PE":
            raise StreamError(f"mariadb-backup's stream has a chunk of the unknown type {chr(kind)!r}")
        if kind == ord("P"):
            self._skip, _offset, _checksum = PAYLOAD.unpack_from(self._head, HEAD.size + length)
            path = bytes(self._head[HEAD.size : HEAD.size + length]).decode(errors="replace")
            self._into = path if "/" not in path and path.endswith(NOTES) else None
            if self._into is not None:
                self.files.setdefault(self._into, b"")
        self._head.clear()

    def text(self, ending: str) -> str:
        """The note whose name ends so; empty if there is none."""
        return next(
            (text.decode(errors="replace") for name, text in self.files.items() if name.endswith(ending)), ""
        )


@dataclass(frozen=True)
class Position:
    """Where a backup is. `gtid`: last number of the domain, 0 for none; `lsn`: from where to where."""

    gtid: int
    wsrep: str
    lsn: Mapping[str, int]


def position(notes: Notes, domain: int) -> Position:
    """Of a complete backup. Raises StreamError for one whose notes do not say."""
    galera = notes.text("_galera_info").split()
    checkpoints = dict(re.findall(r"^(\w+) = (\d+)$", notes.text("_checkpoints"), re.MULTILINE))
    binlog = notes.text("_binlog_info").strip().split("\t")
    if not galera or "to_lsn" not in checkpoints or len(binlog) < 2:
        told = ", ".join(sorted(notes.files)) or "nothing"
        raise StreamError(f"the backup does not say its position (of its notes there came {told})")
    number = numbers(binlog[2] if len(binlog) > 2 else "").get(domain, 0)
    lsn = {"from": int(checkpoints.get("from_lsn", 0)), "to": int(checkpoints["to_lsn"])}
    return Position(number, galera[0], lsn)


def numbers(gtids: str) -> dict[int, int]:
    """The last number of each domain in a list of GTIDs, `1-1-51288,1007-1-3`. Others are passed over."""
    found: dict[int, int] = {}
    for part in gtids.split(","):
        if match := re.fullmatch(r"(\d+)-\d+-(\d+)", part.strip()):
            found[int(match[1])] = max(int(match[2]), found.get(int(match[1]), 0))
    return found
