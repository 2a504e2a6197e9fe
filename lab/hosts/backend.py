"""The contract between the lab's API and the machines behind it.

Owned here: what a machine is made from and what can be done to one. Left to others: when it happens
(transactions, `lab/api`), and how (`uml.py` boots user-mode Linux, `instant.py` only remembers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol


class PowerState(StrEnum):
    """What a machine is doing, in SoftLayer's words where it has one."""

    RUNNING = "RUNNING"
    HALTED = "HALTED"
    ABSENT = "ABSENT"


@dataclass(frozen=True)
class Interface:
    """One network card: its address (dotted quad), prefix length in bits, and MAC."""

    address: str
    prefix: int
    mac: str
    gateway: str


@dataclass(frozen=True)
class HostSpec:
    """Everything a backend needs to make one machine.

    `disks` are sizes in GB in device order without swap: the first is the system disk, the second the
    first data disk. `public` is None for a private-only guest. `memory` is in MB.
    """

    id: int
    hostname: str
    domain: str
    image: str
    cores: int
    memory: int
    disks: tuple[int, ...]
    private: Interface
    public: Interface | None
    ssh_keys: tuple[str, ...]
    user_data: str | None = None
    post_install_uri: str | None = None


@dataclass(frozen=True)
class FilterRule:
    """Packets that one network card lets through: those that open a connection; answers follow by themselves.

    `ingress` is what the machine receives, `egress` what it sends. `protocol` is `tcp`, `udp`, `icmp`, `vrrp`
    or None for any. `first` and `last` are ports of the receiver, both ends included; with `icmp` they are
    type and code; None for all. `remotes` are addresses or networks at the other end, of the version that
    `ethertype` (`IPv4`, `IPv6`) says; None for anybody, empty for nobody.
    """

    direction: Literal["ingress", "egress"]
    ethertype: Literal["IPv4", "IPv6"]
    protocol: str | None = None
    first: int | None = None
    last: int | None = None
    remotes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class CardFilter:
    """A network card that lets through what its rules allow, and nothing else."""

    host_id: int
    network: Literal["private", "public"]
    rules: tuple[FilterRule, ...]


@dataclass(frozen=True)
class Traffic:
    """Octets that a machine has received and sent, by network."""

    private_in: int = 0
    private_out: int = 0
    public_in: int = 0
    public_out: int = 0

    def plus(self, other: Traffic) -> Traffic:
        """Both together."""
        return Traffic(**{name: count + getattr(other, name) for name, count in vars(self).items()})

    def since(self, earlier: Traffic) -> Traffic:
        """What has passed since an earlier reading. Counters that went down began anew meanwhile."""
        before = {name: getattr(earlier, name) for name in vars(self)}
        return Traffic(
            **{
                name: count - (before[name] if before[name] <= count else 0)
                for name, count in vars(self).items()
            }
        )


class HostBackend(Protocol):
    """Makes, boots and destroys machines. Every call may be repeated; repeating changes nothing."""

    def create(self, spec: HostSpec) -> None:
        """Make the machine's disks (sparse) and record its spec. Does not boot it."""

    def start(self, host_id: int) -> None:
        """Boot; returns once the machine's process runs, without waiting for sshd."""

    def answers(self, host_id: int) -> bool:
        """Whether sshd answers now."""

    def stop(self, host_id: int, *, hard: bool = False) -> None:
        """Power off; `hard` pulls the plug."""

    def reload(self, spec: HostSpec) -> None:
        """Replace the system disk by a fresh one, keeping data disks. The machine must be halted."""

    def resize(self, spec: HostSpec) -> None:
        """Adopt new cores, memory or larger/more disks for the next boot. The machine must be halted."""

    def destroy(self, host_id: int) -> None:
        """Power off if needed and remove every trace."""

    def state(self, host_id: int) -> PowerState:
        """What the machine is doing now."""

    def set_filters(self, filters: Sequence[CardFilter]) -> None:
        """From now on these cards filter, in place of those named before; every other card is open.

        Of machines that run, that boot later and that do not exist yet. Connections that are there stay.
        """

    def traffic(self) -> dict[int, Traffic]:
        """What each machine has received and sent since it was made."""
