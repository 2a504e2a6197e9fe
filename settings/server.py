"""One server as it is ordered: a line a field, and all that knows of a field is made of its line.

From a line come the setting (`servers.localDisk`), the resource's property (`local_disk`), what a change of
it means, its name in the order and in the API's answer, its part of the price, what is compared with a server
that exists, and its row in docs/reference/servers.md.

Owns: the table. Leaves to others: what is nested in the API (components/softlayer/guest_spec.py and
guest_seen.py: disks, networks, user data, tags), what a change then does (virtual_guest_provider.py).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, Field
from pydantic.fields import FieldInfo

from settings import server_values, values
from settings.section import Section


class Change(enum.StrEnum):
    """What it means for a server that exists when a field changes."""

    REPLACE = "the server is replaced"
    PIN = "the server is replaced, unless it is in that network already"
    REBOOT = "in place, with a restart"
    UPDATE = "in place"
    NEXT_RELOAD = "recorded; takes effect at the next OS reload"
    RELOAD = "the operating system is reloaded"
    IGNORE = "nothing"


@dataclass(frozen=True)
class Row:
    """A field's line, besides its type and its default.

    Attributes:
        change: what a change of it means.
        unit: of a number.
        api: its name in an order, and in the API's answer; a dot for a part of a part. Empty where it is
            nested in another way.
        told: whether the API tells it of a server that exists, so that a change by hand is seen, and the
            settings must say it rightly of a server to be adopted.
        priced: whether a price depends on it.
    """

    change: Change
    unit: str = ""
    api: str = ""
    told: bool = False
    priced: bool = False


def ordered(
    default: Any = ...,
    *,
    change: Change,
    doc: str,
    unit: str = "",
    api: str = "",
    told: bool = False,
    priced: bool = False,
    **limits: Any,
) -> Any:
    """A field of a server; `limits` are pydantic's."""
    row: dict[str, Any] = {"change": change, "unit": unit, "api": api, "told": told, "priced": priced}
    description = f"{unit}; {doc}" if unit else doc
    return Field(default, description=description, json_schema_extra=row, **limits)


class Server(Section):
    """What each server of the stack is."""

    domain: Annotated[str, AfterValidator(values.domain)] = ordered(
        change=Change.UPDATE, api="domain", told=True, doc="the full name is `PREFIX-N.DOMAIN`"
    )
    datacenter: Annotated[str, AfterValidator(server_values.datacenter)] = ordered(
        change=Change.REPLACE, api="datacenter.name", told=True, priced=True, doc="short name, like `tor01`"
    )
    cores: int = ordered(
        1, change=Change.REBOOT, api="startCpus", told=True, priced=True, doc="virtual CPUs", ge=1, le=64
    )
    memory: Annotated[int, AfterValidator(server_values.memory)] = ordered(
        2048, change=Change.REBOOT, unit="MB", api="maxMemory", told=True, priced=True, doc="whole GB"
    )
    disks: tuple[Annotated[int, Field(ge=10, le=12000)], ...] = ordered(
        (25, 25),
        change=Change.REBOOT,
        unit="GB",
        told=True,
        priced=True,
        doc="the first is the system's, the second becomes /var/lib/docker; grown or added, never removed",
    )
    encrypted_disk: bool | None = ordered(
        None,
        change=Change.REPLACE,
        doc="the second disk is encrypted (LUKS2), and after each boot the host waits to be unlocked; also "
        "of one's own hosts, where it never changes",
    )
    local_disk: bool = ordered(
        True, change=Change.REPLACE, api="localDiskFlag", told=True, priced=True, doc="local disks, else SAN"
    )
    os: server_values.OperatingSystem | None = ordered(
        "DEBIAN_LATEST",
        change=Change.REPLACE,
        api="operatingSystemReferenceCode",
        priced=True,
        doc="operating system reference code, of Debian or Ubuntu; null where `image` is given",
    )
    image: str | None = ordered(
        None,
        change=Change.REPLACE,
        api="blockDeviceTemplateGroup.globalIdentifier",
        priced=True,
        doc="global identifier of an image template, instead of `os`; Fedora and the RHEL family work with a "
        "kernel that has btrfs",
    )
    hourly: bool = ordered(
        True,
        change=Change.REPLACE,
        api="hourlyBillingFlag",
        told=True,
        priced=True,
        doc="hourly billing, else monthly",
    )
    transient: bool | None = ordered(
        None,
        change=Change.REPLACE,
        api="transientGuestFlag",
        told=True,
        priced=True,
        doc="cheaper, and SoftLayer may take it back at any time, with its disks: for trials only",
    )
    nic_speed: Literal[10, 100, 1000] = ordered(
        100, change=Change.UPDATE, unit="Mbit/s", told=True, priced=True, doc="of each interface"
    )
    private_only: bool = ordered(
        False,
        change=Change.REPLACE,
        api="privateNetworkOnlyFlag",
        told=True,
        priced=True,
        doc="no public interface",
    )
    public_vlan: server_values.Vlan | None = ordered(None, change=Change.PIN, doc=server_values.VLAN_ID)
    private_vlan: server_values.Vlan | None = ordered(None, change=Change.PIN, doc=server_values.VLAN_ID)
    public_subnet: int | None = ordered(None, change=Change.PIN, doc="id; in `publicVlan`", gt=0)
    private_subnet: int | None = ordered(None, change=Change.PIN, doc="id; in `privateVlan`", gt=0)
    placement_group: int | None = ordered(None, change=Change.REPLACE, doc="its id", gt=0)
    tags: tuple[Annotated[str, AfterValidator(server_values.tag)], ...] = ordered(
        (), change=Change.UPDATE, doc="besides the stack's own"
    )
    notes: str = ordered("", change=Change.UPDATE, doc="free text, for people", max_length=1000)
    user_data: str = ordered("", change=Change.UPDATE, doc="free text the server can read", max_length=16000)
    post_install_url: Annotated[str, AfterValidator(server_values.script_url)] | None = ordered(
        None,
        change=Change.NEXT_RELOAD,
        api="postInstallScriptUri",
        doc="https address of a script that is run after the first boot and after a reload",
    )

    @classmethod
    def of(cls, **fields: Any) -> Server:
        """A server of values by the fields' names, checked as the settings are."""
        return cls.model_validate(fields, by_alias=False, by_name=True)


def row_of(field: FieldInfo) -> Row:
    """The line of a field made by `ordered`."""
    line: Any = field.json_schema_extra
    return Row(**line)


def rows(model: type[BaseModel]) -> dict[str, Row]:
    """The lines of a server's fields, in their order; fields that are no part of an order have none."""
    fields: Iterable[tuple[str, Any]] = model.model_fields.items()
    return {name: row_of(field) for name, field in fields if "change" in (field.json_schema_extra or {})}


def kind_of(field: FieldInfo) -> tuple[type, bool]:
    """The type of a field's values (`str`, `int` or `bool`), and whether it has many of them."""
    annotation: Any = field.annotation
    many = get_origin(annotation) is tuple
    while not isinstance(annotation, type):
        first = get_args(annotation)[0]
        annotation = type(first) if get_origin(annotation) is Literal else first
    return annotation, many


def read(field: FieldInfo, value: Any) -> Any:
    """A property as Pulumi or the API hands it over, as the field's type; unchecked.

    Pulumi makes floats of whole numbers and leaves out what is not given: that is None where a field may be
    None, an empty text or list, else the field's default.
    """
    kind, many = kind_of(field)
    if many:
        return tuple(_plain(kind, item) for item in value or ())
    if value is None or value == "":
        optional = type(None) in get_args(field.annotation)
        return None if optional else "" if kind is str else field.get_default()
    return _plain(kind, value)


def _plain(kind: type, value: Any) -> Any:
    return int(float(value)) if kind is int else kind(value)
