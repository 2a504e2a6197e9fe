"""The lab's name servers, at the addresses of SoftLayer's own: what a host asks for names.

Owned here: the command line of the process, asking it whether it serves. Left to others: the process itself
(`services.py`), the names (`network.py`). It knows the lab's names and says that no other exists.
Without a name server that answers, whoever asks for an unknown name waits, a container 10 s each time.
"""

from __future__ import annotations

import socket
import struct

from lab import network
from lab.paths import LabPaths

PORT = 53
GREETING = 2.0  # seconds the server may take to answer
ID, RECURSION, ADDRESS, INTERNET = 7, 0x0100, 1, 1  # of a query, RFC 1035


def argv(lab: LabPaths) -> list[str]:
    """The command line of the name server's process."""
    return [
        *network.enter(lab.namespace),
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root"),
        *("--no-hosts", "--no-resolv", "--bind-interfaces", "--server=/#/"),
        *(f"--listen-address={server}" for server in network.RESOLVERS),
        *(f"--host-record={name},{address}" for name, address in network.NAMES.items()),
    ]


def query(name: str) -> bytes:
    """A question for the address of `name`, as a message over TCP."""
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    message = (
        struct.pack(">6H", ID, RECURSION, 1, 0, 0, 0) + labels + struct.pack(">B2H", 0, ADDRESS, INTERNET)
    )
    return struct.pack(">H", len(message)) + message


def answers(lab: LabPaths) -> bool:
    """Whether every server knows the lab's names."""
    for server in network.RESOLVERS:
        for name, address in network.NAMES.items():
            try:
                with network.connect(lab.namespace, str(server), PORT, GREETING) as asked:
                    asked.sendall(query(name))
                    answer = asked.recv(512)
            except OSError:
                return False
            if not answer.endswith(socket.inet_aton(str(address))):
                return False
    return True
