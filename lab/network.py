"""A lab's network namespace, its two bridges, and the hosts' taps.

Owned here: addresses of the two networks, making and removing the namespace, taps, sockets inside it. Left to
others: which host has which address (`lab/api`), what listens (`services.py`). Every lab has the same
addresses; its namespace keeps them apart from the machine's and from other labs'.
"""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError

PRIVATE = ipaddress.ip_interface("10.144.12.1/24")  # gateway and network of the hosts' eth0
PUBLIC = ipaddress.ip_interface("203.0.113.1/24")  # the same for eth1; TEST-NET-3, so never anybody's
CONSOLE = ipaddress.ip_address("10.144.12.2")
"""From here the lab itself logs in to hosts. No packet filter holds it up: a data center's console is no part
of its network. Programs in the lab send from the gateways' addresses."""
BRIDGES = {"private": PRIVATE, "public": PUBLIC}
NAMES = dict.fromkeys(("registry.lab", "apt.lab", "s3.lab"), PRIVATE.ip)  # known to hosts and `lab exec`
RESOLVERS = tuple(ipaddress.ip_address(a) for a in ("10.0.80.11", "10.0.80.12"))  # as in every data center
NETNS_CONF = Path("/etc/netns")  # `ip netns exec` binds what is in here over /etc
CLONE_NEWNET = 0x40000000


def _ip(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise LabError(
            f"`ip {' '.join(words)}` failed: {done.stderr.strip() or done.returncode}. "
            "The lab needs root and the right to make network namespaces and taps (in a container: "
            "--privileged)."
        )
    return done


def path(namespace: str) -> Path:
    """The file that holds the namespace."""
    return Path("/run/netns") / namespace


def exists(namespace: str) -> bool:
    """Whether the namespace is there and is one: after a reboot its file may be an empty leftover."""
    return _ip("-n", namespace, "link", "show", "lo", check=False).returncode == 0


def hosts_file() -> str:
    """/etc/hosts as seen inside the lab."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    return "\n".join([*lines, *(f"{address} {name}" for name, address in NAMES.items())]) + "\n"


def resolver_file() -> str:
    """/etc/resolv.conf as seen inside the lab, on hosts too."""
    return "".join(f"nameserver {server}\n" for server in RESOLVERS)


def up(namespace: str) -> bool:
    """Make the namespace with loopback and bridges, or complete it; returns whether it had to be made."""
    made = not exists(namespace)
    if made:
        _ip("netns", "delete", namespace, check=False)
        _ip("netns", "add", namespace)
    _ip("-n", namespace, "link", "set", "lo", "up")
    for bridge, address in BRIDGES.items():
        if _ip("-n", namespace, "link", "show", bridge, check=False).returncode != 0:
            # A fixed MAC: a bridge otherwise takes that of a port, and changes it as hosts come and go.
            mac = f"02:00:{':'.join(f'{byte:02x}' for byte in address.ip.packed)}"
            _ip("-n", namespace, "link", "add", bridge, "address", mac, "type", "bridge")
        _ip("-n", namespace, "addr", "replace", str(address), "dev", bridge)
        _ip("-n", namespace, "link", "set", bridge, "up")
    for extra in (CONSOLE, *RESOLVERS):
        _ip("-n", namespace, "addr", "replace", f"{extra}/32", "dev", "private")
    _sysctl(namespace, "net/ipv4/ip_forward", "1")
    folder = NETNS_CONF / namespace
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts").write_text(hosts_file(), encoding="utf-8")
    (folder / "resolv.conf").write_text(resolver_file(), encoding="utf-8")
    return made


def down(namespace: str) -> None:
    """Remove the namespace with all that is in it."""
    _ip("netns", "delete", namespace, check=False)
    folder = NETNS_CONF / namespace
    for name in ("hosts", "resolv.conf"):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()


def processes(namespace: str) -> list[int]:
    """The processes in the namespace."""
    return [int(word) for word in _ip("netns", "pids", namespace, check=False).stdout.split()]


def _sysctl(namespace: str, key: str, value: str) -> None:
    done = subprocess.run(
        [*enter(namespace), "sh", "-c", 'printf %s "$1" > "/proc/sys/$0"', key, value],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"{key} cannot be set in namespace {namespace}: {done.stderr.strip()}")


def enter(namespace: str) -> list[str]:
    """The words before a command that runs in the namespace, with the machine's own files."""
    return ["nsenter", f"--net={path(namespace)}", "--"]


def tap(namespace: str, name: str, bridge: str) -> None:
    """Make a tap on a bridge, or leave it as it is."""
    if _ip("-n", namespace, "link", "show", name, check=False).returncode != 0:
        _ip("-n", namespace, "tuntap", "add", "dev", name, "mode", "tap")
    _ip("-n", namespace, "link", "set", name, "master", bridge, "up")


def remove_tap(namespace: str, name: str) -> None:
    """Remove a tap; one that is not there is fine."""
    _ip("-n", namespace, "link", "delete", name, check=False)


def traffic(namespace: str) -> dict[str, tuple[int, int]]:
    """Octets that each card of the namespace has received and sent."""
    shown = json.loads(_ip("-n", namespace, "-json", "-statistics", "link", "show").stdout or "[]")
    return {
        card["ifname"]: (card["stats64"]["rx"]["bytes"], card["stats64"]["tx"]["bytes"])
        for card in shown
        if "stats64" in card
    }


def track(namespace: str, bridge: str) -> None:
    """Pass what the bridge forwards through the IP families of netfilter, which track connections."""
    _ip(
        *("-n", namespace, "link", "set", bridge, "type", "bridge"),
        *("nf_call_iptables", "1", "nf_call_ip6tables", "1"),
    )


def connect(
    namespace: str, address: str, port: int, timeout: float, source: str | None = None
) -> socket.socket:
    """A TCP connection made inside the namespace, from whichever one the caller is in. Timeout in seconds.

    `source`: the address that it comes from, if it matters.

    Raises OSError as `socket.create_connection` does. A socket belongs to the namespace of the thread that
    made it, so a short-lived thread enters the namespace and the rest of the process stays where it is.
    """
    result: list[socket.socket | OSError] = []

    def work() -> None:
        try:
            file = os.open(path(namespace), os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            finally:
                os.close(file)
            origin = None if source is None else (source, 0)
            result.append(socket.create_connection((address, port), timeout, origin))
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


def command(namespace: str, argv: Sequence[str]) -> list[str]:
    """A command line that runs `argv` inside the lab and knows the lab's names; it does not fork."""
    return ["ip", "netns", "exec", namespace, *argv]
