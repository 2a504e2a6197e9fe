"""The settings' sections in Pulumi.yaml, so far as Pulumi's grammar can say them, from the settings' models.

Pulumi (3.245) takes a type, a description and a default for each key of a project, and nothing of what is
in an object. A key without a default must be in every stack's file, or nothing works any more, `pulumi
config` included. So declared are the sections, each with an empty object as its default, which to the
program means the same as none; and what is one of some words, a switch, or a list of words, with the model's
own default. Not declared are numbers with a fraction (there is no such type), what is null by default (that
is no default, and a section that an empty one would switch on may be among it), and the endpoint, as any free
text (its default would count for more than the one in ~/.softlayer).

Owns: that part of the file. Leaves to others: the rest of it, and what is in a section (stack_schema.py).
"""

from __future__ import annotations

import json
import typing
from pathlib import Path

from pydantic.fields import FieldInfo

import settings
from tools.docs import settings_page

MARK = "# ---- written by `python -m tools.docs`, from the models in settings/ ----"
"""The line behind which all of the file is generated."""


def text(file: Path) -> str:
    """The whole file, with what stands before the mark as it is. ValueError for a file without the mark."""
    before, mark, _ = file.read_text(encoding="utf-8").partition(f"{MARK}\n")
    if not mark:
        raise ValueError(f"{file} has no line {MARK!r}. Remedy: put it at the file's end")
    lines, said = ["config:"], settings_page.described(settings.Settings)
    for name, field in settings.Settings.model_fields.items():
        section = settings_page.section_of(field)
        if section is not None and settings_page.is_there(field):
            lines += [
                f"  {field.alias or name}:",
                "    type: object",
                f"    description: {json.dumps(settings_page.intro(section), ensure_ascii=False)}",
                "    default: {}",
            ]
        elif kind := type_of(field):
            default = json.dumps(field.get_default(call_default_factory=True))
            words = f"{said[name][:1].upper()}{said[name][1:]}."
            lines += [
                f"  {field.alias or name}:",
                *(f"    {line}" for line in kind),
                f"    description: {json.dumps(words, ensure_ascii=False)}",
                f"    default: {default}",
            ]
    return before + mark + "\n".join(lines) + "\n"


def type_of(field: FieldInfo) -> list[str]:
    """Lines with the type of a value that is no section, as Pulumi calls it; none if it is not declared."""
    kind = field.annotation
    if kind is bool:
        return ["type: boolean"]
    if _is_words(kind):
        return ["type: string"]
    if typing.get_origin(kind) is list and _is_words(typing.get_args(kind)[0]):
        return ["type: array", "items:", "  type: string"]
    return []


def _is_words(kind: object) -> bool:
    return typing.get_origin(kind) is typing.Literal and all(
        isinstance(word, str) for word in typing.get_args(kind)
    )
