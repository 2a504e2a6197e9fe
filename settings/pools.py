"""The setting `servers.pools`: hosts that differ from the section's own in size, place, role or origin.

Owns: one pool, and what of a server it may say otherwise. Leaves to others: which hosts all of it makes
(servers.py), what a single value may be (server.py, own_hosts.py).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, create_model

from settings import values
from settings.own_hosts import OwnHost, Role
from settings.planned import DATA_LABEL
from settings.section import Section
from settings.server import Server

TAKEN_LABELS = ("datacenter", "swarm-galera.member")
"""Node labels that the program sets itself."""


def pool_name(value: str) -> str:
    """A part of host names: 20 characters, so that prefix and number have room beside it."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", value):
        raise values.Refused(
            f"{value!r} can't be a part of host names",
            "use 1 to 20 lower-case letters, digits and hyphens, a letter first and no hyphen last",
        )
    return value


def label_name(value: str) -> str:
    """Of a node, and not one that the program sets by itself."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", value):
        raise values.Refused(f"{value!r} is no label's name", "use lower-case letters, digits and . _ - only")
    if value in TAKEN_LABELS:
        raise values.Refused(f"the program sets the label {value} itself", "take another name")
    return value


def data_label(value: dict[str, str]) -> dict[str, str]:
    """The database's label says yes or no."""
    if value.get(DATA_LABEL) not in (None, "true", "false"):
        raise values.Refused(
            f"{DATA_LABEL}: {value[DATA_LABEL]!r} does not say whether a node of the database is there",
            'give "true" or "false"',
        )
    return value


def as_text(value: object) -> object:
    """YAML turns `true` and 7 into other types than the text that a label is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _maybe(field: Any) -> tuple[Any, Any]:
    """A server's field that may be left out, with the limits that it has."""
    kind: Any = field.annotation
    for limit in field.metadata:
        kind = Annotated[kind, limit]
    return kind | None, Field(None, description=field.description)


_MAY_BE_NULL = {
    name for name, field in Server.model_fields.items() if type(None) in get_args(field.annotation)
}
_FIELDS: dict[str, Any] = {name: _maybe(field) for name, field in Server.model_fields.items()}
_Otherwise: Any = create_model("_Otherwise", __base__=Section, **_FIELDS)
"""All fields of a server, each of which may be left out."""


class Pool(_Otherwise):  # type: ignore[misc]
    """Hosts that are alike: `PREFIX-NAME-1` …, beside the section's own. What a pool does not say of its
    servers is as the section has it.

    Attributes:
        name: a part of their names.
        kind: softlayer or existing.
        count: how many are ordered.
        hosts: of one's own, with kind: existing; their roles are in each.
        role: of those that are ordered. Managers bear a node of the database each.
        labels: of their nodes in the swarm, for services' placement. With galera: "true" workers bear a node
            of the database, too.
    """

    title: ClassVar[str] = "pool"
    name: Annotated[str, AfterValidator(pool_name)]
    kind: Literal["softlayer", "existing"] = "softlayer"
    count: int = Field(0, ge=0, le=500)
    hosts: list[OwnHost] = []
    role: Role = "worker"
    labels: Annotated[
        dict[Annotated[str, AfterValidator(label_name)], Annotated[str, BeforeValidator(as_text)]],
        AfterValidator(data_label),
    ] = {}

    @property
    def said(self) -> dict[str, Any]:
        """What it says of its servers, by the fields' names. A key without a value (null) says nothing,
        unless that means something of a server, too, as of `os`.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set if name in Server.model_fields}
        return {name: value for name, value in given.items() if value is not None or name in _MAY_BE_NULL}
