"""The node's own address and the others' live ones.

An overlay's DNS may be stale or partial, so an address counts only once its Galera port has accepted a
connection.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

GALERA_PORT = 4567


class NoAddress(Exception):
    """The node has no address in the subnet; the message says what to do."""


def own_address(subnet: IPv4Network) -> str:
    """The container's address inside `subnet`: the source the kernel would use towards it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(subnet.network_address + 1), 9))  # sends nothing
            address: str = probe.getsockname()[0]
        except OSError as error:
            raise NoAddress(
                f"no route into {subnet} ({error.strerror}). Attach the service to that network."
            ) from None
    if IPv4Address(address) not in subnet:
        raise NoAddress(
            f"this container has no address in {subnet} (it would use {address}). Attach the service to that "
            "network, or set SUBNET to the network it is on."
        )
    return address


def resolve(names: str) -> list[str]:
    """Addresses of comma-separated names; a name that does not resolve counts as nobody."""
    found: list[str] = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        try:
            answers = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
        except OSError:
            continue
        found += [str(answer[4][0]) for answer in answers]
    return found


def accepting(addresses: Iterable[str], port: int = GALERA_PORT, timeout: float = 1.5) -> list[str]:
    """Those of `addresses` that accept a TCP connection within `timeout` seconds, tried side by side."""
    selector = selectors.DefaultSelector()
    alive: list[str] = []
    pending = 0
    for address in sorted(set(addresses)):
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        probe.setblocking(False)
        probe.connect_ex((address, port))
        selector.register(probe, selectors.EVENT_WRITE, address)
        pending += 1
    deadline = time.monotonic() + timeout
    while pending and (left := deadline - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            probe = key.fileobj  # type: ignore[assignment]
            if probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                alive.append(key.data)
            selector.unregister(probe)
            probe.close()
            pending -= 1
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    selector.close()
    return sorted(alive)
