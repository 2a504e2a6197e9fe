"""The section `servers`: the hosts of the stack.

Owns: their settings, which hosts they make, and which of them fit together.
Leaves to others: what a single value may be (server_values.py, own_hosts.py, pools.py); what fits to other
sections (model.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from settings import origins, server_values, values
from settings.own_hosts import OwnHost
from settings.planned import PlannedHost
from settings.pools import Pool
from settings.server import Change, Server, ordered


class Servers(Server):
    """The hosts: `PREFIX-1` … are managers, the numbers after them workers. Or one's own, or both."""

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

    @field_validator("managers")
    @classmethod
    def _alone(cls, value: int, info: ValidationInfo) -> int:
        """Without pools and hosts of one's own, there are no others."""
        if value >= 0 and (info.data.get("pools", True) or info.data.get("kind") != "softlayer"):
            return value
        return server_values.managers(value)

    @field_validator("disks")
    @classmethod
    def _of_a_host(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if len(sizes) < 2:
            raise values.Refused(
                "the engine's data needs a second disk", "give two sizes in GB, like [25, 25]"
            )
        return sizes

    @model_validator(mode="after")
    def _can_be_made(self) -> Servers:
        problems = [*origins.problems(self), *self._unknown_names()]
        if not problems:
            problems = [*self._bad_turns()]
        if self.published_ports and (not self.orders or self.private_only or not self.firewall):
            problems.append(
                "publishedPorts: they are opened in the firewall of ordered hosts with public addresses, and "
                "this stack has none. Remedy: remove publishedPorts, or have a firewall on public addresses"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _unknown_names(self) -> Iterable[str]:
        """Orders that are spoken of, and are none of this stack's."""
        known = [host.name for host in self.planned if host.ordered]
        own = {host.name for host in self.planned if host.own}
        named: tuple[tuple[str, Iterable[str]], ...] = (
            ("adopt", self.adopt),
            ("reloadToken", self.reload_token),
            ("replace", self.replace),
            ("replaceServer", self.replace_server),
        )
        for key, names in named:
            if mine := sorted(own & set(names)):
                yield (
                    f"{key}: {', '.join(mine)} is a host of your own, and nothing of it is ordered. "
                    "Remedy: take it out"
                )
            if unknown := sorted(set(names) - own - set(known)):
                yield (
                    f"{key}: {', '.join(unknown)} is no host of this stack. Remedy: "
                    + (f"use names from {known[0]} to {known[-1]}" if known else "take it out")
                )

    def _bad_turns(self) -> Iterable[str]:
        """Reloads and replacements that would take more than one manager at once."""
        if both := sorted(set(self.reload_token) & set(self.replace)):
            yield (
                f"replace: {', '.join(both)} stands in reloadToken, too: a replaced host needs no reload. "
                "Remedy: take it out of reloadToken"
            )
        if both := sorted({*self.reload_token, *self.replace} & set(self.replace_server)):
            yield (
                f"replaceServer: {', '.join(both)} stands in reloadToken or replace, too. Remedy: take it "
                "out there; a replaced host is as the settings say and needs neither"
            )
        if kept := sorted(set(self.adopt) & set(self.replace_server)):
            yield (
                f"replaceServer: {', '.join(kept)} is in adopt, and nothing cancels a server that was there "
                "before. Remedy: cancel it yourself, and take it out of both; `up` then orders another one"
            )
        # A token may be one of a reload that is over: what changes is known to the run (plan.py). Two
        # managers are refused all the same.
        managers = [name for name in self.manager_names if name in {*self.reload_token, *self.replace}]
        replaced = [name for name in self.data_names if name in self.replace]
        bearing = managers if len(managers) > 1 else replaced
        for key, names in (("replace", self.replace), ("replaceServer", self.replace_server)):
            if len(self.manager_names) == 1 and self.manager_names[0] in names:
                yield (
                    f"{key}: {self.manager_names[0]} is the only manager: the database would go with it. "
                    "Remedy: save the data, run `pulumi destroy`, then `up`"
                )
        if len(bearing) > 1:
            key = "replace" if set(bearing) & set(self.replace) else "reloadToken"
            what = "managers: each" if set(bearing) <= set(self.manager_names) else "hosts with data: each"
            yield (
                f"{key}: {', '.join(bearing)} are {what} is a database node, and only one may be "
                "reloaded or replaced at a time. Remedy: name one, run `up`, wait until `verify` holds, then "
                "name the next one instead"
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
            place = datacenter or origins.OWN_DATACENTER
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


def names_of(servers: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Names of managers and workers from a section as it stands in a stack's file, unchecked.

    None of a section that can't be read: what is wrong with it, the program says.
    """
    named = {key: servers[key] for key in ("kind", "prefix", "managers", "workers") if key in servers}

    def hosts(section: Mapping[str, Any]) -> list[OwnHost]:
        return [OwnHost.model_construct(**each) for each in section.get("hosts") or ()]

    try:
        pools = [
            Pool.model_construct(**{**each, "hosts": hosts(each)}) for each in servers.get("pools") or ()
        ]
        made = Servers.model_construct(**named, domain="", datacenter="", hosts=hosts(servers), pools=pools)
        return made.manager_names, made.worker_names
    except (AttributeError, TypeError):
        return [], []
