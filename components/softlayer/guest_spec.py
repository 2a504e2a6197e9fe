"""A virtual server as declared: typed, and turned into an order. No network, no Pulumi resources.

Owns: what of a server is its own and not the stack's, and how the fields are nested in an order.
Leaves to others: what the stack says of its servers (settings/server.py), whether it can work
(guest_check.py), what the API reports (guest_seen.py), sending any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from components.softlayer.identity import PROGRAM_TAG, mark_user_data, marker_of, stack_tag
from settings import values
from settings.server import Change, Row, Server, ordered, read, rows

SIDES = ("public", "private")
MOST_GROUPS = 5
"""Security groups that an interface takes."""


class GuestSpec(Server):
    """One virtual server: the fields that the stack's servers share, and those that are its own."""

    owner: str = ordered(change=Change.IGNORE, doc="`StackIdentity.owner`")
    resource: str = ordered(change=Change.IGNORE, doc="its name in the stack")
    hostname: Annotated[str, AfterValidator(values.hostname)] = ordered(
        change=Change.UPDATE, api="hostname", told=True, doc="known at preview"
    )
    ssh_key_ids: tuple[int, ...] = ordered((), change=Change.NEXT_RELOAD, doc="keys that are installed")
    public_security_groups: tuple[int, ...] = ordered(
        (), change=Change.UPDATE, doc="ids; bound with the order", max_length=MOST_GROUPS
    )
    private_security_groups: tuple[int, ...] = ordered(
        (), change=Change.UPDATE, doc="ids; bound with the order", max_length=MOST_GROUPS
    )
    reload_token: str = ordered(
        "", change=Change.RELOAD, doc="a new one has the first disk wiped; an empty one changes nothing"
    )
    on_replacement: Literal["replace", "keep", "refuse"] = ordered(
        "replace",
        change=Change.IGNORE,
        doc="what a change that replaces means for a server that exists: `replace` it; `keep` it as it is, "
        "which is said in the preview; `refuse`, before anything is done to it",
    )
    replaces: int | None = ordered(
        None,
        change=Change.IGNORE,
        doc="id of the server that is to go: the one that has it is replaced, any other one stays",
    )
    adopt: int | None = ordered(
        None, change=Change.IGNORE, doc="id of a server that exists and is taken over as it is"
    )

    @property
    def name(self) -> str:
        """Fully qualified."""
        return f"{self.hostname}.{self.domain}"

    @property
    def marker(self) -> str:
        """Its identity, which the order carries."""
        return marker_of(self.owner, self.resource)

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The user's tags after the program's own."""
        return tuple(dict.fromkeys((PROGRAM_TAG, stack_tag(self.owner), *self.tags)))

    @property
    def sent_notes(self) -> str:
        """The user's notes, else a word on where the server comes from."""
        return self.notes or default_notes(self.marker)

    @property
    def sent_user_data(self) -> str:
        """The user's data with the marker."""
        return mark_user_data(self.user_data, self.marker)

    def template(self) -> dict[str, Any]:
        """For `Virtual_Guest::createObject`: what the SDK's own manager would send, and the marker."""
        nested: dict[str, Any] = {
            "primaryNetworkComponent": self._network("public"),
            "primaryBackendNetworkComponent": self._network("private"),
            "sshKeys": [{"id": key} for key in self.ssh_key_ids],
        }
        return {
            **_flat(self, lambda row: True),
            **_nested(self),
            "supplementalCreateObjectOptions": {"bootMode": None},
            "userData": [{"value": self.sent_user_data}],
        } | {key: value for key, value in nested.items() if value}

    def _network(self, side: str) -> dict[str, Any]:
        """The network component of a side, `public` or `private`."""
        vlan, subnet = getattr(self, f"{side}_vlan"), getattr(self, f"{side}_subnet")
        component: dict[str, Any] = {}
        if vlan is not None:
            within = {"primarySubnet": {"id": subnet}} if subnet is not None else {}
            component["networkVlan"] = {"id": vlan, **within}
        if groups := getattr(self, f"{side}_security_groups"):
            component["securityGroupBindings"] = [{"securityGroup": {"id": group}} for group in groups]
        return component


ROWS = rows(GuestSpec)
"""The line of every property."""


def changing(*changes: Change) -> frozenset[str]:
    """The properties of which a change means one of these."""
    return frozenset(name for name, row in ROWS.items() if row.change in changes)


def parse(props: Mapping[str, Any]) -> GuestSpec:
    """Typed properties, unchecked: Pulumi hands integers over as floats, and leaves out what is not given."""
    fields = GuestSpec.model_fields.items()
    return GuestSpec.model_construct(**{name: read(field, props.get(name)) for name, field in fields})


def priced(server: Server) -> dict[str, Any]:
    """For `Virtual_Guest::generateOrderTemplate`, of the server's order all that has a price.

    The names matter to nobody: nothing is created.
    """
    priced_fields = _flat(server, lambda row: row.priced)
    return {"hostname": "estimate", "domain": "example.com", **priced_fields, **_nested(server)}


def _flat(server: Server, wanted: Callable[[Row], bool]) -> dict[str, Any]:
    """The fields that stand in an order as they are. What is not given is not sent, nor a flag that is off
    unless it is set.
    """
    template: dict[str, Any] = {}
    for name, row in rows(type(server)).items():
        value, default = getattr(server, name), type(server).model_fields[name].default
        if row.api and wanted(row) and value is not None and (value is not False or default):
            whole, _, part = row.api.partition(".")
            template[whole] = {part: value} if part else value
    return template


def _nested(server: Server) -> dict[str, Any]:
    """The disks and the speed."""
    # Device 1 is always swap; the second disk is device 2.
    devices = [0, *range(2, len(server.disks) + 1)]
    return {
        "networkComponents": [{"maxSpeed": server.nic_speed}],
        "blockDevices": [
            {"device": str(device), "diskImage": {"capacity": size}}
            for device, size in zip(devices, server.disks, strict=True)
        ],
    }


def shown(server: Server) -> str:
    """A server's size in words."""
    cores = f"{server.cores} core{'s' if server.cores > 1 else ''}"
    return f"{cores}, {server.memory} MB, disks {'+'.join(map(str, server.disks))} GB in {server.datacenter}"


def default_notes(marker: str) -> str:
    """Notes of a guest whose user gave none."""
    return f"ordered by swarm-galera as {marker}"
