"""Whose kernel has answered on a connection of Galera's that stands, whatever becomes of new ones.

A host whose table of connections is full, or whose firewall drops what opens one, looks dead to whoever
tries; what is under way goes on. On Galera's connections there is always something to answer: each member
says something every `evs.keepalive_period`. The answers are the kernels', however busy mariadbd is.

Owns the question to the own kernel: sock_diag(7), which `ss -tni` asks, too; any process may, in its own
network namespace. `/proc/net/tcp` would not do: it counts what was sent again, and how soon that is follows
from how slow the peer was before.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

from .network import GALERA_PORT

SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
ALL_OF_THEM = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
ERROR, DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE: nothing follows
ESTABLISHED = 1 << 1  # among TCP's states
INFO = 2  # INET_DIAG_INFO
HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, kind, flags, number, port
REQUEST = struct.Struct("=BBBxI")  # inet_diag_req_v2: family, protocol, what else to tell, states
PORTS = struct.Struct("!HH44x")  # inet_diag_sockid: the own and the peer's, any address
MESSAGE = struct.Struct("=4x 4x 16x 4s 12x 12x 8x I 8x")  # inet_diag_msg: the peer, bytes without an answer
ATTRIBUTE = struct.Struct("=HH")  # length, kind
HEARD = struct.Struct("=52x II")  # tcp_info: milliseconds since data came, since an answer came


def living(told: bytes, within: float) -> set[str]:
    """The addresses of peers that have been heard within so many seconds, or owe no answer.

    Args:
        told: the kernel's messages on established connections. Raises OSError if one of them is an error.
    """
    found = set()
    for kind, body in _pieces(told, HEADER):
        if kind == ERROR:
            number = -struct.unpack_from("=i", body)[0]
            raise OSError(number, os.strerror(number))
        if kind == BY_FAMILY:
            peer, unanswered = MESSAGE.unpack_from(body)
            info = dict(_pieces(body[MESSAGE.size :], ATTRIBUTE)).get(INFO, b"")
            heard = len(info) >= HEARD.size and min(HEARD.unpack_from(info)) <= within * 1000
            if heard or not unanswered:
                found.add(socket.inet_ntoa(peer))
    return found


def peers(within: float, port: int = GALERA_PORT) -> set[str]:
    """`living` of the connections to or from `port`. Raises OSError where the kernel does not tell."""
    return living(_told(port, 0) + _told(0, port), within)


def _told(own: int, other: int) -> bytes:
    """The kernel's answer on connections between these ports; 0: any."""
    asked = REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 1 << INFO - 1, ESTABLISHED) + PORTS.pack(
        own, other
    )
    told = b""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)  # it answers at once, or never
        kernel.send(HEADER.pack(HEADER.size + len(asked), BY_FAMILY, ALL_OF_THEM, 1, 0) + asked)
        while not any(kind in (ERROR, DONE) for kind, _ in _pieces(told, HEADER)):
            told += kernel.recv(1 << 16)
    return told


def _pieces(told: bytes, head: struct.Struct) -> Iterator[tuple[int, bytes]]:
    """What comes one after the other, each with its length and kind before it, aligned to four bytes."""
    while len(told) >= head.size:
        length, kind, *_ = head.unpack_from(told)
        yield kind, told[head.size : length]
        told = told[max(head.size, length + 3 & ~3) :]
