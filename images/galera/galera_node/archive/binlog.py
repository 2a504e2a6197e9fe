"""What a binary log says of its own content: which of the cluster's transactions it has, and when they were.

Reads the heads of events only, from a binary log without encryption as MariaDB 10.11 and 11.8 write it. Owns:
the event types that matter (MariaDB's documentation, "Binary Log Event Header", "GTID_EVENT",
"GTID_LIST_EVENT"), and where a transaction is whole. Leaves to others: which file is read (`logs`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"\xfebin"
ENCRYPTION_EVENT = 164
QUERY, STOP, ROTATE, FORMAT, XID, XA_PREPARE = 2, 3, 4, 15, 16, 38
GTID, GTID_LIST = 162, 163
STANDALONE = 1  # flag of a GTID event: one event follows and that is all, as of DDL
HEAD = struct.Struct("<IBIIIH")  # time, type, server id, length, next position, flags
GTID_HEAD = struct.Struct("<QIB")  # sequence number, domain, flags
GTID_ENTRY = struct.Struct("<IIQ")  # domain, server id, sequence number
COUNT = 0x0FFFFFFF  # of GTID_LIST: the upper bits are flags


class BinlogError(Exception):
    """The file is no binary log that can be archived; the message says why."""


@dataclass(frozen=True)
class Extent:
    """What a log has of one domain. `first` and `last` are None where it has nothing.

    Attributes:
        before: the domain's last number before this file; None if the file does not say.
        first, last: the numbers of the first and the last whole transaction.
        first_time: when the first began; last_time: the latest time at which any of them began, Unix time.
            Their order is that of the commits: one that took long has an earlier time than those before it.
        goes_on: the file ends as one does after which the same run of the server went on in the next.
    """

    before: int | None = None
    first: int | None = None
    last: int | None = None
    first_time: int = 0
    last_time: int = 0
    goes_on: bool = False


@dataclass(frozen=True)
class Event:
    """One event: `body` is its first bytes behind the head."""

    time: int
    type: int
    body: bytes


def events(file: BinaryIO, body: int = 512) -> Iterator[Event]:
    """The events of a binary log, as far as they are whole. Raises BinlogError for what is none.

    `body`: how many bytes of each body are read; of a GTID_LIST all are.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise BinlogError("it does not begin as a binary log does")
    size, at = file.seek(0, 2), len(MAGIC)
    while at + HEAD.size <= size:
        file.seek(at)
        head = file.read(HEAD.size)
        time, kind, _server, length, _next, _flags = HEAD.unpack(head)
        if not any(head):
            return  # never written, though the file is so long: what a power cut leaves on some
        if length < HEAD.size:
            raise BinlogError(f"the event at {at} says that it has {length} bytes")
        if at + length > size:
            return  # cut off by a crash
        if kind == ENCRYPTION_EVENT:
            raise BinlogError("it is encrypted by the server, and could not be read elsewhere")
        wanted = length - HEAD.size if kind == GTID_LIST else min(body, length - HEAD.size)
        yield Event(time, kind, file.read(wanted))
        at += length


def state_before(file: BinaryIO, domain: int) -> int | None:
    """The domain's last number before this file, from its head alone; None if it does not say."""
    for event in events(file):
        if event.type == GTID_LIST:
            return listed(event.body).get(domain)
        if event.type not in (FORMAT, GTID_LIST):
            break
    return None


def listed(body: bytes) -> dict[int, int]:
    """The last number of each domain, from the body of a GTID_LIST event."""
    (count,) = struct.unpack_from("<I", body)
    last: dict[int, int] = {}
    for index in range(count & COUNT):
        domain, _server, number = GTID_ENTRY.unpack_from(body, 4 + index * GTID_ENTRY.size)
        last[domain] = max(number, last.get(domain, 0))
    return last


def extent(file: BinaryIO, domain: int) -> Extent:
    """What the file has of a domain. Raises BinlogError.

    A transaction counts once its last event is there: one that a crash has cut off was rolled back, and comes
    again under the same number in a later file.
    """
    before: int | None = None
    first = last = None
    first_time = last_time = 0
    open_number: tuple[int, int] | None = None  # number and time of the group whose end is not there yet
    standalone = goes_on = False
    for event in events(file):
        goes_on = event.type == ROTATE
        if event.type == GTID_LIST:
            before = listed(event.body).get(domain)
        elif event.type == GTID:
            number, of, flags = GTID_HEAD.unpack_from(event.body)
            standalone = bool(flags & STANDALONE)
            open_number = (number, event.time) if of == domain else None
        elif open_number is not None and (standalone or ends(event)):
            number, time = open_number
            if first is None:
                first, first_time = number, time
            last, last_time, open_number = number, max(last_time, time), None
    return Extent(before, first, last, first_time, last_time, goes_on)


def ends(event: Event) -> bool:
    """Whether this event is the last of a transaction."""
    if event.type in (XID, XA_PREPARE):
        return True
    if event.type != QUERY or len(event.body) < 13:
        return False
    # A query: thread, time, length of the schema's name, error code, length of the status variables.
    _thread, _time, schema, _error, variables = struct.unpack_from("<IIBHH", event.body)
    text = event.body[13 + variables + schema + 1 :]
    return text.startswith((b"COMMIT", b"ROLLBACK"))
