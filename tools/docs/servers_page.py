"""docs/reference/servers.md, from the table of a server's fields: all that is said of each of them.

Owns: what is told only of these: what a change means, what the API calls them. Leaves to others: the table
(settings/server.py), how a type and a default read, and all other settings (settings_page.py).
"""

from __future__ import annotations

from pydantic.fields import FieldInfo

from settings.server import Server, row_of
from tools.docs.markdown import table
from tools.docs.settings_page import default_of, key_of, kind_of

HEAD = """# What a server is

<!-- Written by `python -m tools.docs`; change settings/server.py instead. -->

The fields of `swarm-galera:servers` that each server of a stack is ordered with; the section's others, and
all other sections, are in [the settings](settings.md#servers). "Compared": the API tells it of a server that
exists; `pulumi refresh` sees a change by hand, and `servers.adopt` takes over only what is described rightly.
"""
HEADINGS = ("key", "type", "default", "what it is", "a change", "in the API", "compared", "priced")


def text() -> str:
    """The whole page."""
    rows = [_cells(name, field) for name, field in Server.model_fields.items()]
    return f"{HEAD}\n{table(HEADINGS, rows)}\n"


def _cells(name: str, field: FieldInfo) -> tuple[str, ...]:
    row = row_of(field)
    return (
        key_of(name, field),
        kind_of(field),
        default_of(field),
        field.description or "",
        str(row.change),
        f"`{row.api}`" if row.api else "",
        "yes" if row.told else "",
        "yes" if row.priced else "",
    )
