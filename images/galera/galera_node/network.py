"""The node's own address and the others' live ones.

An overlay's DNS may be stale, partial or slow: an address counts only once its Galera port has accepted a
connection, and nobody waits long for a name.
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv4Network

GALERA_PORT = 4567
# For the C library's resolver (the environment's RES_OPTIONS): ask again after a second, give up after two.
# By default it waits ten seconds for an engine that waits for its upstream, and hears so much later of a task
# that has come meanwhile.
RESOLVER_OPTIONS = "timeout:1 attempts:2"


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


def resolve(name: str) -> list[str]:
    """The addresses of a name as the system's resolver knows them; none if it does not resolve."""
    try:
        answers = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(answer[4][0]) for answer in answers]


class Lookup:
    """One lookup in a thread of its own, which nobody needs to wait for."""

    def __init__(self, name: str, look: Callable[[str], list[str]]) -> None:
        self.name, self.since = name, time.monotonic()
        self.answer: Future[list[str]] = Future()
        threading.Thread(
            target=lambda: self.answer.set_result(look(name)), name=f"lookup {name}", daemon=True
        ).start()


class Names:
    """Lookups of names that nobody waits for longer than `patience` seconds.

    The engine's DNS asks its upstream for the name of a service without a running task; where no upstream
    answers, that takes ten seconds and more. Such a name counts as nobody for now. The lookup goes on beside
    (one thread a name at most), and its late answer is for whoever asks next.
    """

    def __init__(self, patience: float = 1.5, look: Callable[[str], list[str]] = resolve) -> None:
        self._patience, self._look = patience, look
        self._lock = threading.Lock()
        self._under_way: dict[str, Lookup] = {}

    def addresses(self, names: str) -> list[str]:
        """Addresses of comma-separated names; a name without an answer yet counts as nobody."""
        return [address for lookup in self.begin(names) for address in self._take(lookup)]

    def begin(self, names: str) -> list[Lookup]:
        """The lookups of these names, begun unless they are under way: for who will ask in a moment."""
        wanted = [name for part in names.split(",") if (name := part.strip())]
        with self._lock:
            for name in wanted:
                if name not in self._under_way:
                    self._under_way[name] = Lookup(name, self._look)
            return [self._under_way[name] for name in wanted]

    def _take(self, lookup: Lookup) -> list[str]:
        try:
            found = lookup.answer.result(max(0.0, lookup.since + self._patience - time.monotonic()))
        except TimeoutError:
            return []
        with self._lock:
            if self._under_way.get(lookup.name) is lookup:
                del self._under_way[lookup.name]
        return found


def accepting(addresses: Iterable[str], port: int = GALERA_PORT, timeout: float = 1.5) -> list[str]:
    """Those of `addresses` that accept a TCP connection within `timeout` seconds, tried side by side."""
    return sorted(address for address, code in _tried(addresses, port, timeout).items() if code == 0)


def answering(addresses: Iterable[str], port: int, timeout: float) -> set[str]:
    """Those of `addresses` whose kernel answers at all: a refusal is an answer, too."""
    found = _tried(addresses, port, timeout)
    return {address for address, code in found.items() if code in (0, errno.ECONNREFUSED)}


def _tried(addresses: Iterable[str], port: int, timeout: float) -> dict[str, int]:
    """What became of a connection to each within `timeout` seconds: 0 or the error's number; no answer is
    none.
    """
    selector = selectors.DefaultSelector()
    found: dict[str, int] = {}
    for address in set(addresses):
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        probe.setblocking(False)
        if (code := probe.connect_ex((address, port))) not in (0, errno.EINPROGRESS):
            # Such as no route to it: the socket itself would know of no error.
            found[address] = code
            probe.close()
            continue
        selector.register(probe, selectors.EVENT_WRITE, address)
    deadline, over = time.monotonic() + timeout, False
    while selector.get_map() and not over:
        left = deadline - time.monotonic()
        # Also when this process was given no processor for so long: what has come meanwhile counts.
        over = left <= 0
        for key, _ in selector.select(max(0.0, left)):
            probe = key.fileobj  # type: ignore[assignment]
            found[key.data] = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            selector.unregister(probe)
            probe.close()
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    selector.close()
    return found
