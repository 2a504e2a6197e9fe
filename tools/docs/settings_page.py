"""docs/reference/settings.md, from the models of the stack's settings.

Owns: how a field's type, default and description read. Leaves to others: the fields (settings), the rows of
those that each server is ordered with (servers_page.py).
"""

from __future__ import annotations

import inspect
import itertools
import json
import re
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import settings
from settings import section
from settings.pools import Pool
from settings.server import Server
from tools.docs.markdown import table

HEAD = f"""# Settings

<!-- Written by `python -m tools.docs`; change the models of the settings instead. -->

The keys below `{settings.PROJECT}:` in a stack's file (`Pulumi.NAME.yaml`). An unknown key or a bad value is
refused before anything is ordered, together with all others. An example to copy:
[Pulumi.tor01.yaml](../../Pulumi.tor01.yaml).

Editors that know YAML schemas check a stack's file while it is written, and say what a key is, by this line
(a copy of the example has it); the [schema](stack-settings.schema.json) is written from the same models:

```yaml
# yaml-language-server: $schema=docs/reference/stack-settings.schema.json
```

`Pulumi.yaml` declares the sections, `deployUpTo`, `takeDown` and `keepData`, for `pulumi config` and so that
Pulumi itself refuses a section that is none ("must be of type 'object'", of `takeDown` 'array'): its grammar
knows nothing of what is in an object. So none of them can be given as JSON text, nor a section encrypted as a
whole; `pulumi config set --path` sets, and `--secret` encrypts, a key in it. Sections that are not set are
shown there as `{{}}`, which means the same.

Two more are read by the SoftLayer provider only, and are secret: `username` and `apiKey`, instead of
`SL_USERNAME` and `SL_API_KEY` or `~/.softlayer` (`pulumi config set --secret {settings.PROJECT}:apiKey …`).

Which options `galera.config` and `galera.provider` take, and why not others, is said when one is refused;
what they are by default, in [Moving in](../how-to/moving-in.md#tuning). Names and the initial SQL count at
the first bootstrap: other names are refused later, other SQL is not run. `galera.stopGrace` above 80 holds
for updates only: an engine that is itself stopped has 90 s from systemd.
"""
LIMITS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "max_length": "length <="}
SIMPLE = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", Any: "anything"}


def text() -> str:
    """The whole page."""
    parts = [HEAD, _section("The stack", settings.Settings)]
    parts += [_section(f"`{path}`", model, f"{path}.") for path, model in sections(settings.Settings)]
    return "\n".join(parts)


def sections(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections below a model, each before those in it, by the path of its key; each kind once."""
    seen: set[type[BaseModel]] = set()
    for path, below in _sections(model, above):
        if below not in seen:
            seen.add(below)
            yield path, below


def _sections(model: type[BaseModel], above: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        if (below := section_of(field)) is not None:
            path = f"{above}{field.alias or name}"
            yield path, below
            yield from _sections(below, f"{path}.")


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field is; None for one with a value of its own."""
    return section.section_of(field.annotation)


def is_there(field: FieldInfo) -> bool:
    """Whether a section counts, with its defaults, although nobody writes it."""
    return field.is_required() or field.get_default(call_default_factory=True) is not None


def _section(title: str, model: type[BaseModel], path: str = "") -> str:
    said = described(model)
    of_each = Server.model_fields if issubclass(model, Server) else {}
    rows = []
    for name, field in model.model_fields.items():
        if name in of_each or _otherwise(model, name):
            continue
        key = key_of(name, field)
        if (below := section_of(field)) is not None:
            key_below = f"{path}{field.alias or name}"
            if typing.get_origin(field.annotation) is list:
                shown = next(at for at, each in sections(settings.Settings) if each is below)
                words = field.description or said.get(name, "")
                rows.append((key, "list of sections", default_of(field), f"{words}: {_link(shown)}"))
                continue
            need = "required" if field.is_required() else _required(below) if is_there(field) else "none"
            rows.append((key, "section", need, f"a section: {_link(key_below)}"))
        else:
            rows.append((key, kind_of(field), default_of(field), field.description or said.get(name, "")))
    about = intro(model)
    if of_each:
        keys = ", ".join(key_of(name, field) for name, field in of_each.items())
        about += (
            f"\n\nWhat each of them is ordered with has [a page of its own](servers.md): {keys}. Besides:"
        )
    if issubclass(model, Pool):
        about += " All that [servers are ordered with](servers.md) may be said here. Besides:"
    return f"## {title}\n\n{about}\n\n{table(('key', 'type', 'default', 'what it is'), rows)}\n"


def _link(path: str) -> str:
    return f"[{path}](#{path.lower().replace('.', '')})"


def _otherwise(model: type[BaseModel], name: str) -> bool:
    """Whether a pool says so what a server's own field is."""
    return issubclass(model, Pool) and name in Server.model_fields


def key_of(name: str, field: FieldInfo) -> str:
    """A field as it is written in a stack's file."""
    return f"`{field.alias or name}`"


def _required(model: type[BaseModel]) -> str:
    return "required" if any(field.is_required() for field in model.model_fields.values()) else ""


def intro(model: type[BaseModel]) -> str:
    """A docstring's first paragraph, up to where it begins to speak of fields."""
    first = inspect.getdoc(model).split("\n\n")[0] if model.__doc__ else ""  # type: ignore[union-attr]
    places = _mentions(model, first)
    return (first[: places[0].start()] if places else first).strip()


def described(model: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of a model and of those it is made of say of its fields, as `name: text`."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not (issubclass(each, BaseModel) and each.__doc__):
            continue
        doc = inspect.cleandoc(each.__doc__).replace("\nAttributes:\n", "\n")
        places = _mentions(model, doc)
        for place, after in itertools.zip_longest(places, places[1:]):
            end = len(doc) if after is None else after.start()
            words = " ".join(doc[place.end() : end].split()).rstrip(".")
            found |= dict.fromkeys(place[1].split(", "), words)
    return found


def _mentions(model: type[BaseModel], doc: str) -> list[re.Match[str]]:
    """Where a docstring begins to speak of one of the model's fields, or of several."""
    names = "|".join(sorted(model.model_fields, key=len, reverse=True))
    return list(re.finditer(rf"(?:(?<=\n)|(?<=\. )|(?<=\s{{4}}))((?:{names})(?:, (?:{names}))*): ", doc))


def kind_of(field: FieldInfo) -> str:
    """A field's type in words, with its limits."""
    return _kind(field.annotation) + _limits(field.metadata)


def _kind(kind: Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _kind(args[0]) + _limits(args[1:])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in args)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(each) for each in args)
    if origin in (list, tuple):
        return f"list of {_kind(args[0])}"
    if origin is dict:
        return f"map of {_kind(args[0])} to {_kind(args[1])}"
    return "`null`" if kind is type(None) else SIMPLE.get(kind, "text")


def _limits(metadata: typing.Iterable[Any]) -> str:
    words = []
    for limit in _flat(metadata):
        for name, sign in LIMITS.items():
            if (value := getattr(limit, name, None)) is not None:
                words.append(f"{sign} {value}")
    return f" ({', '.join(words)})" if words else ""


def _flat(metadata: typing.Iterable[Any]) -> typing.Iterable[Any]:
    """Limits, also those that stand in a `Field(…)` within Annotated."""
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from each.metadata
        else:
            yield each


def default_of(field: FieldInfo) -> str:
    """A field's default as YAML would have it, or that it has none."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    return f"`{json.dumps(default, ensure_ascii=False)}`"
