"""A host of one's own: how it is reached, and what it is to be.

Owns: one entry of `servers.hosts`, and that names differ.
Leaves to others: which hosts a stack has (servers.py), what must hold on the host itself, and that two are
not one (components/own_hosts).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from settings import values
from settings.section import Section

Role = Literal["manager", "worker"]
SSH_PORT = 22


def own_name(value: str) -> str:
    """A host name as the engine, the store and the database use it: one label in lower case."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise values.Refused(
            f"{value!r} can't be a host's name in the cluster",
            "use what `hostname` prints on it: 1 to 63 lower-case letters, digits and hyphens, a letter "
            "first, no hyphen last, no domain (`hostnamectl set-hostname db1` gives it such a name)",
        )
    return value


def private_address(value: str) -> str:
    """IPv4, of one host: the swarm and the store know it by this address."""
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        raise values.Refused(
            f"{value!r} is no IPv4 address", "give the host's own on the network that the hosts share"
        ) from None
    if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        raise values.Refused(
            f"{value} is no address that other hosts reach", "give the one on the network that they share"
        )
    return value


def reachable(value: str) -> str:
    """An address, or a name in DNS."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value):
        raise values.Refused(
            f"{value!r} is neither an IPv4 address nor a name", "write it like 203.0.113.7 or db1.example.com"
        )
    return value


def is_address(text: str) -> bool:
    """Whether it is an IP address, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def ssh_user(value: str) -> str:
    """A name that Linux takes, so that it is safe wherever it is written."""
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        raise values.Refused(f"{value!r} is no user's name", "write it like root or deploy")
    return value


def pinned_key(value: str) -> str:
    """The type and the key of one line of `ssh-keyscan`, without the host in front and without a comment."""
    found = re.search(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) ([A-Za-z0-9+/]+={0,3})", value)
    if found is None or len(value.strip().splitlines()) != 1:
        raise values.Refused(
            "this is no host key", "paste one line of `ssh-keyscan -t ed25519 HOST`, like ssh-ed25519 AAAA…"
        )
    return f"{found[1]} {found[2]}"


def device(value: str) -> str:
    """A whole disk or partition, by a name that stays."""
    if not re.fullmatch(r"/dev/[A-Za-z0-9_./:+-]+", value) or ".." in value:
        raise values.Refused(
            f"{value!r} is no device", "write it like /dev/sdb, or better /dev/disk/by-id/…, which stays"
        )
    return value


class OwnHost(Section):
    """A host that exists already and is no order of the program's. It is never deleted.

    Attributes:
        name: what `hostname` prints on it; the program does not rename it.
        address: IPv4, its own on the network that the hosts share: the swarm's traffic goes there.
        ssh_host: where SSH reaches it, if that is not `address`: an address or a name.
        user: who logs in; any other than root needs `sudo` without a password.
        port: SSH's.
        host_key: its SSH host key, a line of `ssh-keyscan` without the host; without, the one that it shows
            at the first contact is pinned.
        role: manager (with a node of the store and of the database) or worker.
        disk: a disk or partition of its own for /var/lib/docker, like /dev/disk/by-id/…; it must be blank,
            and becomes LVM and btrfs. Without, the engine's data is on the file system that is there, stored
            with the driver that the engine chooses.
    """

    title: ClassVar[str] = "host"
    name: Annotated[str, AfterValidator(own_name)]
    address: Annotated[str, AfterValidator(private_address)]
    ssh_host: Annotated[str, AfterValidator(reachable)] | None = None
    user: Annotated[str, AfterValidator(ssh_user)] = "root"
    port: int = Field(SSH_PORT, ge=1, le=65535)
    host_key: Annotated[str, AfterValidator(pinned_key)] | None = None
    role: Role = "manager"
    disk: Annotated[str, AfterValidator(device)] | None = None

    @property
    def reached_at(self) -> str:
        """Where SSH goes."""
        return self.ssh_host or self.address

    @property
    def way(self) -> str:
        """The same with the port, in words."""
        return f"SSH at {self.reached_at} port {self.port}"


def twice(hosts: Sequence[tuple[str, OwnHost]]) -> Iterable[str]:
    """Names that two hosts have, as `PATH: problem`. Addresses that two have are told with all else that is
    wrong of hosts (components/own_hosts/fit.py), in one list.

    Args:
        hosts: with the path of each in its section.
    """
    seen: set[str] = set()
    for path, host in hosts:
        if host.name in seen:
            yield (
                f"{path}.name: the name {host.name} is that of another host already, and each must be one of "
                "its own. Remedy: correct it"
            )
        seen.add(host.name)
