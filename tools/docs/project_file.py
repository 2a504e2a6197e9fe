"""The settings' sections in Pulumi.yaml, so far as Pulumi's grammar can say them, from the settings' models.

Pulumi (3.245) takes a type, a description and a default for each key of a project, and nothing of what is
in an object. A key without a default must be in every stack's file, or nothing works any more, `pulumi
config` included. So declared are the sections, each with an empty object as its default, which to the
program means the same as none. Not declared are numbers with a fraction (there is no such type), what is
null by default (that is no default, and a section that an empty one would switch on may be among it), and
the endpoint (its default would count for more than the one in ~/.softlayer).

Owns: that part of the file. Leaves to others: the rest of it, and what is in a section (stack_schema.py).
"""

from __future__ import annotations

import json
from pathlib import Path

import settings
from tools.docs import settings_page

MARK = "# ---- written by `python -m tools.docs`, from the models in settings/ ----"
"""The line behind which all of the file is generated."""


def text(file: Path) -> str:
    """The whole file, with what stands before the mark as it is. ValueError for a file without the mark."""
    before, mark, _ = file.read_text(encoding="utf-8").partition(f"{MARK}\n")
    if not mark:
        raise ValueError(f"{file} has no line {MARK!r}. Remedy: put it at the file's end")
    lines = ["config:"]
    for name, field in settings.Settings.model_fields.items():
        section = settings_page.section_of(field)
        if section is not None and settings_page.is_there(field):
            lines += [
                f"  {field.alias or name}:",
                "    type: object",
                f"    description: {json.dumps(settings_page.intro(section), ensure_ascii=False)}",
                "    default: {}",
            ]
    return before + mark + "\n".join(lines) + "\n"
