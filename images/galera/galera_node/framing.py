"""What donor and joiner say to each other: frames of bytes, records of JSON.

A connection that breaks is never taken for the end: the end is an empty frame and a record that says so.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

FRAME = 1 << 20
LENGTH = struct.Struct("!I")


class TransferError(Exception):
    """The transfer failed; the message goes to the log and names the step."""


def send_frame(stream: socket.socket, data: bytes | memoryview) -> None:
    """Bytes behind their length (4 bytes, big-endian); an empty one is the end."""
    stream.sendall(LENGTH.pack(len(data)))
    if data:
        stream.sendall(data)


def receive_exactly(stream: socket.socket, count: int) -> bytes:
    """Exactly `count` bytes. Raises TransferError when the other side ends early."""
    buffer = bytearray(count)
    view = memoryview(buffer)
    got = 0
    while got < count:
        read = stream.recv_into(view[got:])
        if read == 0:
            raise TransferError("the other side ended in the middle")
        got += read
    return bytes(buffer)


def receive_frame(stream: socket.socket) -> bytes:
    """The next frame. Raises TransferError when it is cut off, or longer than any of ours."""
    (length,) = LENGTH.unpack(receive_exactly(stream, LENGTH.size))
    if length > FRAME:
        raise TransferError(f"a frame of {length} bytes is not ours")
    return receive_exactly(stream, length) if length else b""


def receive_record(stream: socket.socket) -> dict[str, Any]:
    """The next frame as a record. Raises TransferError if it is none."""
    try:
        record = json.loads(receive_frame(stream))
    except ValueError as error:
        raise TransferError(f"the other side does not speak this protocol: {error}") from error
    if not isinstance(record, dict):
        raise TransferError("the other side does not speak this protocol")
    return record


def send_record(stream: socket.socket, record: dict[str, Any]) -> None:
    """A record, in a frame of its own."""
    send_frame(stream, json.dumps(record).encode())
