"""The section `servers`: the virtual servers of the stack.

Owns: their settings, and which of them fit together.
Leaves to others: what a single value may be (values.py); what fits to other sections (model.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from settings import values
from settings.section import Section


class Servers(Section):
    """The virtual servers: `PREFIX-1` … are managers, the numbers after them workers.

    Attributes:
        prefix, domain: names; the full name is `PREFIX-N.DOMAIN`.
        managers: odd; each is a Galera node and an etcd member.
        workers: hosts for applications.
        datacenter: short name.
        cores: count. memory: MB, whole GB. disks: GB each; the first is the system's, the second becomes
            /var/lib/docker.
        local_disk: local disks, else SAN.
        os: SoftLayer's operating system reference code, of Debian or Ubuntu. image: an image template's
            identifier instead; Fedora and the RHEL family work with a kernel that has btrfs.
        hourly: hourly billing, else monthly.
        nic_speed: Mbit/s.
        private_only: no public interface.
        public_vlan, private_vlan, public_subnet, private_subnet: ids; null lets SoftLayer choose.
        placement_group: id.
        tags, notes: for people; the stack's own tag comes on top.
        user_data: text the hosts can read. post_install_url: https address of a script run after first boot.
        firewall: security groups bound with the order.
        published_ports: TCP ports open to everybody on the public addresses, for applications.
        protect: have Pulumi refuse to delete or replace the hosts.
        reload_token: host name to a text of your choice; a new text has the operating system reloaded (the
            first disk is wiped, the second kept). One manager at a time.
        replace: hosts that a change of os, image, datacenter, billing, kind of disk, network or placement
            may replace: cancelled with all disks, and ordered anew. While it names any, all other hosts stay
            as they are; while it is empty, such a change is refused. One manager at a time.
        adopt: host name to id of a guest that exists already and is taken over as it is.
    """

    title: ClassVar[str] = "servers"
    prefix: Annotated[str, AfterValidator(values.hostname_label)] = "galera"
    domain: Annotated[str, AfterValidator(values.domain)]
    managers: Annotated[int, AfterValidator(values.managers)] = 3
    workers: int = Field(0, ge=0, le=500)
    datacenter: Annotated[str, AfterValidator(values.datacenter)]
    cores: int = Field(1, ge=1, le=64)
    memory: Annotated[int, AfterValidator(values.memory)] = 2048
    disks: Annotated[list[Annotated[int, Field(ge=10, le=12000)]], AfterValidator(values.disks)] = [25, 25]
    local_disk: bool = True
    os: values.OperatingSystem | None = "DEBIAN_LATEST"
    image: str | None = None
    hourly: bool = True
    nic_speed: Literal[10, 100, 1000] = 100
    private_only: bool = False
    public_vlan: values.Vlan | None = None
    private_vlan: values.Vlan | None = None
    public_subnet: int | None = Field(None, gt=0)
    private_subnet: int | None = Field(None, gt=0)
    placement_group: int | None = Field(None, gt=0)
    tags: list[Annotated[str, AfterValidator(values.tag)]] = []
    notes: str = Field("", max_length=1000)
    user_data: str = Field("", max_length=16000)
    post_install_url: str | None = Field(None, pattern=r"^https://\S+$")
    firewall: bool = True
    published_ports: list[Annotated[int, Field(ge=1, le=65535)]] = []
    protect: bool = True
    reload_token: Annotated[dict[str, values.Token], BeforeValidator(values.hosts_named)] = {}
    replace: list[str] = []
    adopt: dict[str, int] = {}

    @model_validator(mode="after")
    def _can_be_ordered(self) -> Servers:
        problems = []
        if len(self.disks) > (2 if self.local_disk else 5):
            problems.append(
                f"disks: {len(self.disks)} can't be ordered: a guest has at most 2 local or 5 SAN disks. "
                "Remedy: shorten the list or set localDisk: false"
            )
        if (self.os is None) == (self.image is None):
            problems.append(
                "os: exactly one of os and image says what is installed. Remedy: set the other to null"
            )
        if self.private_only and (self.public_vlan or self.public_subnet):
            problems.append(
                "privateOnly: a private-only guest has no public VLAN or subnet. "
                "Remedy: remove publicVlan and publicSubnet, or privateOnly"
            )
        elif self.public_vlan and not self.private_vlan:
            problems.append(
                "publicVlan: SoftLayer takes it only together with the private one, which must be behind "
                "the same router. Remedy: set privateVlan too (`slcli vlan list`)"
            )
        for vlan, subnet, name in (
            (self.public_vlan, self.public_subnet, "public"),
            (self.private_vlan, self.private_subnet, "private"),
        ):
            if subnet and not vlan:
                problems.append(
                    f"{name}Subnet: a subnet is only taken together with its VLAN. Remedy: set {name}Vlan too"
                )
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
