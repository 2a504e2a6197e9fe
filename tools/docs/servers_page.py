"""What a server is, from its table (`settings/server.py`): what a change means, and what the API calls it."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from settings.server import Server, kind_of, row_of

HEAD = """# What a server is

Fields of `swarm-galera:servers` that each server of a stack is ordered with. Written by `make docs` from
`settings/server.py`. "Compared": the API tells it of a server that exists; `pulumi refresh` sees a change by
hand, and `servers.adopt` takes over only what is described rightly.

| setting | value | default | what it is | a change | in the API | compared | priced |
|---|---|---|---|---|---|---|---|
"""
_KINDS = {str: "text", int: "whole number", bool: "true or false"}


def text() -> str:
    """The file."""
    return HEAD + "".join(_line(name, field) for name, field in Server.model_fields.items())


def _line(name: str, field: FieldInfo) -> str:
    row = row_of(field)
    cells = (
        f"`{to_camel(name)}`",
        _value(field),
        _default(field),
        (field.description or "").replace("|", "\\|"),
        str(row.change),
        f"`{row.api}`" if row.api else "",
        "yes" if row.told else "",
        "yes" if row.priced else "",
    )
    return f"| {' | '.join(cells)} |\n"


def _value(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return " or ".join(map(str, get_args(field.annotation)))
    kind, many = kind_of(field)
    return f"list: {_KINDS[kind]}" if many else _KINDS[kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default: Any = field.default
    if isinstance(default, tuple):
        return f"[{', '.join(map(str, default))}]"
    return "null" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
