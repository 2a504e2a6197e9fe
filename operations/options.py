"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

StackOption = Annotated[str, typer.Option("--stack", "-s", envvar="STACK", help="The stack's name.")]
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not preview and ask first; needed without a terminal.")
]
