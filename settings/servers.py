"""The section `servers`: the hosts of the stack.

Owns: which of its settings fit together.
Leaves to others: the settings themselves, and which hosts they make (all_hosts.py); where those come from
(origins.py); what fits to other sections (model.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from settings import origins, server_values, values
from settings.all_hosts import AllHosts
from settings.own_hosts import OwnHost
from settings.pools import Pool


class Servers(AllHosts):
    """The hosts: `PREFIX-1` … are managers, the numbers after them workers. Or one's own, or both."""

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
