"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

StackOption = Annotated[str, typer.Option("--stack", "-s", envvar="STACK", help="The stack's name.")]
InterruptBackupOption = Annotated[
    bool,
    typer.Option(
        "--interrupt-backup",
        help="Do not wait for the end of a backup: one on the host is broken off, and another node makes it "
        "anew.",
    ),
]
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not preview and ask first; needed without a terminal.")
]
