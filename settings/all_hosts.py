"""What the section `servers` says of the stack's hosts, and which hosts that makes.

Owns: the section's settings, one by one, and the list of hosts.
Leaves to others: what is refused of them (servers.py, origins.py); what a single value may be
(server_values.py, own_hosts.py, pools.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from settings import server_values, values
from settings.own_hosts import OwnHost
from settings.planned import PlannedHost
from settings.pools import Pool
from settings.server import Change, Server, ordered

OWN_DATACENTER = "own"
"""Label of hosts of one's own whose settings name no place."""


class AllHosts(Server):
    """The hosts of the stack: those of the section itself, and those of its pools."""

    title: ClassVar[str] = "servers"
    domain: Annotated[str, AfterValidator(values.domain)] = ordered(
        "", change=Change.UPDATE, api="domain", told=True, doc="the full name is `PREFIX-N.DOMAIN`; required"
    )
    datacenter: str = ordered(
        "", change=Change.REPLACE, api="datacenter.name", told=True, priced=True, doc="short name; required"
    )
    kind: Literal["softlayer", "existing"] = Field(
        "softlayer", description="existing: nothing is ordered, and `hosts` names hosts of one's own"
    )
    hosts: list[OwnHost] = Field([], description="of one's own, with kind: existing")
    pools: list[Pool] = Field([], description="further hosts, that differ in size, place, role or origin")
    prefix: Annotated[str, AfterValidator(server_values.hostname_label)] = Field(
        "galera", description="host names are `PREFIX-1` …"
    )
    managers: int = Field(
        3,
        description="odd, with those of pools; each is a Galera node and an etcd member. 0 where pools have "
        "all of them",
    )
    workers: int = Field(0, ge=0, le=500, description="hosts for applications")
    firewall: bool = Field(True, description="security groups bound with the order")
    published_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [],
        description="TCP ports of ordered hosts, open to everybody on the public addresses, for applications",
    )
    protect: bool = Field(True, description="have Pulumi refuse to delete or replace the hosts")
    reload_token: server_values.ReloadTokens = Field(
        {},
        description="host name to a text of your choice; a new text has the operating system reloaded (the "
        "first disk is wiped, the second kept). One manager at a time",
    )
    replace: list[str] = Field(
        [],
        description="hosts that a change of what replaces a server may replace: cancelled with all disks, "
        "and ordered anew. While it names any, all other hosts stay as they are; while it is empty, such a "
        "change is refused. One manager at a time",
    )
    replace_server: dict[str, Annotated[int, Field(gt=0)]] = Field(
        {},
        description="host name to the id of its server (output `hosts`): that server is cancelled with all "
        "disks, and ordered anew; of any other server it says nothing, so it may stay. "
        "`operations up` takes several one after the other, each drained first",
    )
    adopt: dict[str, int] = Field(
        {}, description="host name to id of a guest that exists already and is taken over as it is"
    )

    @property
    def each(self) -> Server:
        """What each of those is that are in no pool."""
        return Server.model_construct(**{name: getattr(self, name) for name in Server.model_fields})

    def of_pool(self, pool: Pool) -> Server:
        """What each of a pool's is."""
        given = {name: getattr(self, name) for name in Server.model_fields} | pool.said
        return Server.model_construct(**given)

    @property
    def planned(self) -> list[PlannedHost]:
        """All hosts, managers first; within a role the section's own, then those of each pool in order."""
        found = [*self._of_section(), *(host for pool in self.pools for host in self._of_pool(pool))]
        return sorted(found, key=lambda host: host.role)

    def _of_section(self) -> Iterator[PlannedHost]:
        if self.kind == "existing":
            yield from self._own(self.hosts, self.datacenter, {}, self.encrypted_disk)
            return
        for number in range(1, self.managers + self.workers + 1):
            role: Literal["manager", "worker"] = "manager" if number <= self.managers else "worker"
            yield PlannedHost(
                f"{self.prefix}-{number}",
                role,
                self.datacenter,
                ordered=self.each,
                encrypted=bool(self.encrypted_disk),
            )

    def _of_pool(self, pool: Pool) -> Iterator[PlannedHost]:
        server = self.of_pool(pool)
        if pool.kind == "existing":
            for host in self._own(pool.hosts, server.datacenter, pool.labels, server.encrypted_disk):
                yield replace(host, pooled=True)
            return
        for number in range(1, pool.count + 1):
            name = f"{self.prefix}-{pool.name}-{number}"
            yield PlannedHost(
                name,
                pool.role,
                server.datacenter,
                ordered=server,
                labels=pool.labels,
                encrypted=bool(server.encrypted_disk),
                pooled=True,
            )

    @staticmethod
    def _own(
        hosts: Iterable[OwnHost], datacenter: str, labels: Mapping[str, str], encrypted: bool | None
    ) -> Iterator[PlannedHost]:
        for host in hosts:
            place = datacenter or OWN_DATACENTER
            yield PlannedHost(host.name, host.role, place, own=host, labels=labels, encrypted=bool(encrypted))

    @property
    def place(self) -> str:
        """What the cluster as a whole is said to be in: the section's place, else the first host's."""
        return self.datacenter or self.planned[0].datacenter

    @property
    def orders(self) -> bool:
        """Whether any host is ordered, so that there is an account."""
        return any(host.ordered for host in self.planned)

    @property
    def own(self) -> list[OwnHost]:
        """The hosts of one's own."""
        return [host.own for host in self.planned if host.own]

    @property
    def manager_names(self) -> list[str]:
        """Host names of the managers, the first one first."""
        return [host.name for host in self.planned if host.role == "manager"]

    @property
    def worker_names(self) -> list[str]:
        """Host names of the workers."""
        return [host.name for host in self.planned if host.role == "worker"]

    @property
    def data_names(self) -> list[str]:
        """Host names of those that bear a node of the database, the managers first."""
        return [host.name for host in self.planned if host.bears_data]

    @property
    def hostnames(self) -> list[str]:
        """All host names, managers first."""
        return [host.name for host in self.planned]
