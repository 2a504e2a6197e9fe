"""The section `servers`: the virtual servers of the stack.

Owns: their settings, and which of them fit together.
Leaves to others: what a single value may be (server_values.py); what fits to other sections (model.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from settings import server_values, values
from settings.rules import contradictions
from settings.server import Server


class Servers(Server):
    """The virtual servers: `PREFIX-1` … are managers, the numbers after them workers."""

    title: ClassVar[str] = "servers"
    prefix: Annotated[str, AfterValidator(server_values.hostname_label)] = Field(
        "galera", description="host names are `PREFIX-1` …"
    )
    managers: Annotated[int, AfterValidator(server_values.managers)] = Field(
        3, description="odd; each is a Galera node and an etcd member"
    )
    workers: int = Field(0, ge=0, le=500, description="hosts for applications")
    firewall: bool = Field(True, description="security groups bound with the order")
    published_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [], description="TCP ports open to everybody on the public addresses, for applications"
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
    adopt: dict[str, int] = Field(
        {}, description="host name to id of a guest that exists already and is taken over as it is"
    )

    @field_validator("disks")
    @classmethod
    def _of_a_host(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if len(sizes) < 2:
            raise values.Refused(
                "the engine's data needs a second disk", "give two sizes in GB, like [25, 25]"
            )
        return sizes

    @model_validator(mode="after")
    def _can_be_ordered(self) -> Servers:
        found = contradictions(lambda name: getattr(self, name))
        problems = [f"{to_camel(name)}: {reason}" for name, reason in found]
        for key, named in (
            ("adopt", self.adopt),
            ("reloadToken", self.reload_token),
            ("replace", self.replace),
        ):
            unknown = sorted(set(named) - set(self.hostnames))
            if unknown:
                problems.append(
                    f"{key}: {', '.join(unknown)} is no host of this stack. "
                    f"Remedy: use names from {self.hostnames[0]} to {self.hostnames[-1]}"
                )
        problems.extend(self._bad_turns())
        if self.published_ports and (self.private_only or not self.firewall):
            problems.append(
                "publishedPorts: nothing is closed that they could open. Remedy: remove publishedPorts, or "
                "have a firewall on public addresses"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _bad_turns(self) -> Iterable[str]:
        """Reloads and replacements that would take more than one manager at once."""
        if both := sorted(set(self.reload_token) & set(self.replace)):
            yield (
                f"replace: {', '.join(both)} stands in reloadToken, too: a replaced host needs no reload. "
                "Remedy: take it out of reloadToken"
            )
        managers = [name for name in self.manager_names if name in {*self.reload_token, *self.replace}]
        if self.managers == 1 and set(managers) & set(self.replace):
            yield (
                f"replace: {managers[0]} is the only manager: the database would go with it. "
                "Remedy: save the data, run `pulumi destroy`, then `up`"
            )
        if len(managers) > 1:
            key = "replace" if set(managers) & set(self.replace) else "reloadToken"
            yield (
                f"{key}: {', '.join(managers)} are managers: each is a database node, and only one may be "
                "reloaded or replaced at a time. Remedy: name one, run `up`, wait until `verify` holds, then "
                "name the next one instead"
            )

    @property
    def each(self) -> Server:
        """What each of them is."""
        return Server.model_construct(**{name: getattr(self, name) for name in Server.model_fields})

    @property
    def manager_names(self) -> list[str]:
        """Host names of the managers, the first one first."""
        return [f"{self.prefix}-{n}" for n in range(1, self.managers + 1)]

    @property
    def worker_names(self) -> list[str]:
        """Host names of the workers."""
        first = self.managers + 1
        return [f"{self.prefix}-{n}" for n in range(first, first + self.workers)]

    @property
    def hostnames(self) -> list[str]:
        """All host names, managers first."""
        return [*self.manager_names, *self.worker_names]
