"""The section `discovery`: the key-value store, etcd or Consul.

Owns: its settings, and what of them must fit together or to the rest of the stack.
Leaves to others: what each store is (components/etcd.py, components/consul.py), a change from one to the
other (components/store_change.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from settings import values
from settings.rotation import Certificates
from settings.section import Section

Kind = Literal["etcd", "consul"]
MOST_SERVERS = 5
"""Each write waits for a majority of Consul's servers; more of them only make it slower."""
MOST_RESOLVERS = 3
"""DNS servers that the C library asks; it takes no notice of further ones."""
CONSUL_PORTS = {53: "DNS", 8300: "its servers", 8301: "gossip", 8501: "its interface"}
"""What Consul listens on, on every host."""


def recursor(value: str) -> str:
    """A DNS server that Consul asks; on the loopback it would ask itself."""
    address = values.ip_address(value)
    if ipaddress.ip_address(address).is_loopback or ipaddress.ip_address(address).is_unspecified:
        raise values.Refused(
            f"at {value} Consul would ask itself, for ever", "give the datacenter's DNS servers by address"
        )
    return address


class Discovery(Section):
    """The key-value store, in which the nodes agree on who starts the cluster, and which consumers may read.

    Attributes:
        kind: which one. `etcd` is for the nodes alone; `consul` also has every host's DNS, under which the
            stack's services are found (`db.service.consul`). A running database keeps the one that it has
            (docs/how-to/consul.md).
        image: container image, of that kind, which the hosts fetch without a login.
        servers: Consul's servers, on the first 3 or 5 managers; all other hosts have an agent. Unset, on
            every manager, on 5 at the most.
        recursors: DNS servers that Consul asks for all names that are not its own; unset, `hosts.resolvers`.
            With Consul there must be one.
        certificates: a section: new certificates of the store, of another authority.
        gossip_key_generation: of Consul's: one more draws another key by which its members' gossip is
            encrypted. Never back.
    """

    title: ClassVar[str] = "discovery"
    kind: Kind = "etcd"
    image: values.Image
    servers: Literal[3, 5] | None = None
    recursors: list[Annotated[str, AfterValidator(recursor)]] = Field([], max_length=8)
    certificates: Certificates = Certificates.model_validate({})
    gossip_key_generation: int = Field(1, ge=1, le=10_000)

    @property
    def ports(self) -> dict[int, str]:
        """What it takes on every host besides etcd's port (settings/ports.py), and which part of it."""
        if self.kind == "etcd":
            return {}
        return {port: f"Consul, {what} (discovery.kind)" for port, what in CONSUL_PORTS.items()}

    @model_validator(mode="after")
    def _of_its_kind(self) -> Discovery:
        given = {
            "servers": self.servers is not None,
            "recursors": bool(self.recursors),
            "gossipKeyGeneration": self.gossip_key_generation > 1,
        }
        if self.kind == "etcd" and (foreign := [name for name, there in given.items() if there]):
            raise values.Refused(
                f"{' and '.join(foreign)} belong to Consul, and kind is etcd, which has a member on each "
                "manager and no DNS",
                "remove it, or set kind: consul",
            )
        other = "consul" if self.kind == "etcd" else "etcd"
        name = self.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
        # Nothing else would say so before its containers end, with a word about their environment.
        if other in name and self.kind not in name:
            raise values.Refused(
                f"kind is {self.kind}, and image by its name is one of {other} ({self.image})",
                f"name an image of {self.kind} (images/{self.kind}), or set kind: {other}",
            )
        twice = sorted({address for address in self.recursors if self.recursors.count(address) > 1})
        if twice:
            raise values.Refused(f"recursors names {', '.join(twice)} twice", "name each once")
        return self

    def clashes(
        self, managers: int, resolvers: Sequence[str], networks: Mapping[str, str], ports: Mapping[int, str]
    ) -> Iterable[str]:
        """What does not fit to the stack's other settings, each with its remedy; nothing for etcd.

        Args:
            managers: how many there are.
            resolvers: `hosts.resolvers`.
            networks: that the engines take on every host, and which setting says so.
            ports: that others take on the hosts, and who.
        """
        if self.kind == "etcd":
            return
        if self.servers is not None and self.servers > managers:
            yield (
                f"discovery.servers: {self.servers} servers need as many managers, and there "
                f"{'is' if managers == 1 else 'are'} {managers} (servers.managers). Remedy: leave it out, or "
                "have more managers"
            )
        yield from self._bad_recursors(resolvers, networks)
        if len(resolvers) >= MOST_RESOLVERS:
            yield (
                f"hosts.resolvers: Consul on the host itself is asked first, and of {len(resolvers)} more "
                f"the last one never: the C library asks {MOST_RESOLVERS} in all. Remedy: name "
                f"{MOST_RESOLVERS - 1} or fewer"
            )
        for port, what in self.ports.items():
            if port in ports:
                yield (
                    f"discovery.kind: {port} is taken on every host by {ports[port]}, and {what} needs it. "
                    "Remedy: give the other one another port"
                )

    def _bad_recursors(self, resolvers: Sequence[str], networks: Mapping[str, str]) -> Iterable[str]:
        asked = self.asked(resolvers)
        if not asked:
            yield (
                "discovery.recursors: Consul answers the DNS of every host, and has nobody to ask for names "
                "that are not its own: no package and no image would be found any more. Remedy: name the "
                "datacenter's DNS servers, like [10.0.80.11, 10.0.80.12]"
            )
        key = "discovery.recursors" if self.recursors else "hosts.resolvers"
        for address in map(ipaddress.ip_address, asked):
            own = [by for network, by in networks.items() if address in ipaddress.ip_network(network)]
            if address.is_loopback or own:
                yield (
                    f"{key}: {address} is the host itself{f', {own[0]}' if own else ''}, where Consul would "
                    "ask itself, for ever. Remedy: name the datacenter's DNS servers"
                )

    def asked(self, resolvers: Sequence[str]) -> list[str]:
        """The DNS servers that Consul asks. Args: resolvers: `hosts.resolvers`."""
        return list(self.recursors or resolvers)

    def server_count(self, managers: int) -> int:
        """On how many of the first managers Consul has a server. Args: managers: how many there are."""
        return self.servers or min(managers, MOST_SERVERS)

    def members(self, managers: Sequence[str]) -> list[str]:
        """Those of the managers (by name) that decide in the store: all with etcd, the first with Consul."""
        return list(managers if self.kind == "etcd" else managers[: self.server_count(len(managers))])
