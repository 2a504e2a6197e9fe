"""Whose host answers on connections that stand, as the kernel tells it; asked of this machine's, too."""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import suppress

import pytest

from images.galera.galera_node.acknowledged import (
    ATTRIBUTE,
    BY_FAMILY,
    DONE,
    ERROR,
    HEADER,
    INFO,
    living,
    peers,
)

pytestmark = pytest.mark.unit

PEER = "10.1.2.3"


def message(kind: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, 2, 1, 0) + body


def connection(unanswered: int, data: int, answer: int, info: bytes | None = None, peer: str = PEER) -> bytes:
    """As linux/inet_diag.h and linux/tcp.h have it; `data` and `answer`: milliseconds since the last one."""
    ports = struct.pack("!HH", 4567, 40000)
    addresses = b"".join(socket.inet_aton(each) + bytes(12) for each in ("10.1.2.1", peer))
    known = struct.pack("=BBBB", socket.AF_INET, 1, 1, 0) + ports + addresses + struct.pack("=III", 0, 1, 2)
    known += struct.pack("=IIIII", 200, 7, unanswered, 999, 5)
    times = bytes(8) + struct.pack("=13I", *range(1, 12), data, answer) + bytes(100)
    info = times if info is None else info
    mark = ATTRIBUTE.pack(ATTRIBUTE.size + 1, 8) + b"\x01\0\0\0"  # of one byte, and three to fill up
    return message(BY_FAMILY, known + mark + ATTRIBUTE.pack(ATTRIBUTE.size + len(info), INFO) + info)


END = message(DONE, bytes(4))


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (connection(36, 90_000, 1399), {PEER}),
        (connection(36, 1399, 90_000), {PEER}),  # it has said something itself
        (connection(36, 1401, 1401), set()),
        (connection(0, 90_000, 90_000), {PEER}),  # there was nothing to answer
        (connection(36, 90_000, 90_000) + connection(36, 3, 3), {PEER}),  # the second one of two
        (connection(36, 3, 3) + connection(9, 9000, 9000, peer="10.1.2.4"), {PEER}),
        (connection(36, 0, 0, bytes(56)), set()),  # a kernel that says less
        (connection(36, 0, 0, b""), set()),
        (b"", set()),
    ],
)
def test_who_has_been_heard_lately_lives(told: bytes, found: set[str]) -> None:
    assert living(told + END, 1.4) == found


def test_a_kernel_that_cannot_tell_is_an_error() -> None:
    with pytest.raises(OSError, match="No such file") as raised:
        living(message(ERROR, struct.pack("=i", -errno.ENOENT) + bytes(16)), 1.4)
    assert raised.value.errno == errno.ENOENT


def test_the_kernel_tells_of_both_ends_and_what_has_no_answer() -> None:
    """Either of two may have opened the connection. Whoever does not read is busy: its kernel answers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), source_address=("127.0.0.7", 0)) as one,
    ):
        port = server.getsockname()[1]
        other, _ = server.accept()
        with other:
            assert peers(-1, port) == {"127.0.0.1", "127.0.0.7"}  # nothing was sent
            one.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    one.send(bytes(1 << 20))
            assert peers(-1, port) == {"127.0.0.7"}
            assert peers(60, port) == {"127.0.0.1", "127.0.0.7"}
            assert peers(60, 1) == set()
