"""garbd, Galera's arbitrator: how it is started, and whether it is in a group with the nodes.

It has no data, and no say in which data counts: it only votes, so that one half of an even number of nodes
goes on. It can start no group. Nodes come back with other addresses, and it knows only those that it was
started with and has heard of since; so one that is alone is ended, and started anew with the present ones.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from .settings import FILES, Settings

PROGRAM = "/usr/bin/garbd"
NAME = "galera-arbitrator"
"""In the group. The nodes know it by this name, and wait for nobody of it (images/galera, `component`)."""
PORT = 4567
ESTABLISHED = "01"
GROUP = {
    "evs.inactive_check_period": "PT0.2S",
    "evs.join_retrans_period": "PT0.3S",
    "evs.keepalive_period": "PT0.5S",
}
"""As the nodes have them (images/galera/galera_node/config.py; a unit test compares)."""


def resolve(name: str) -> list[str]:
    """The addresses of a name; none if nobody answers."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None, socket.AF_INET)})
    except OSError:
        return []


def own_address(subnet: IPv4Network, addresses: Iterable[str]) -> str | None:
    """This container's address on the overlay network; None for none."""
    return next((each for each in addresses if IPv4Address(each) in subnet), None)


def arguments(settings: Settings, address: str, peers: Collection[str]) -> list[str]:
    """The complete command line. Nothing in it is secret: keys are named by their files."""
    options = {
        **GROUP,
        **settings.options,
        "gmcast.listen_addr": f"tcp://{address}:{PORT}",
        "base_host": address,
        **{f"socket.ssl_{kind}": str(settings.secrets / name) for kind, name in FILES.items()},
    }
    nodes = ",".join(f"{peer}:{PORT}" for peer in sorted(peers))
    return [
        PROGRAM,
        "--group",
        settings.cluster,
        "--address",
        f"gcomm://{nodes}",
        "--name",
        NAME,
        "--options",
        ";".join(f"{key}={value}" for key, value in options.items()),
    ]


def connected(table: str, peers: Collection[str]) -> list[str]:
    """Those of the peers that there is a connection of the group's with.

    Args:
        table: the text of /proc/net/tcp.
    """
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or fields[3] != ESTABLISHED:
            continue
        (_, local), (address, remote) = _endpoint(fields[1]), _endpoint(fields[2])
        if PORT in (local, remote):
            found.add(address)
    return sorted(found & set(peers))


def _endpoint(text: str) -> tuple[str, int]:
    """An address and a port, as the kernel writes them on a little-endian machine."""
    address, _, port = text.partition(":")
    return socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)


def connections(path: Path = Path("/proc/net/tcp")) -> str:
    """The kernel's table."""
    return path.read_text()
