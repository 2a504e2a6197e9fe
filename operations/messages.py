"""What the operations tell the user."""

from __future__ import annotations

import typer


def say(text: str) -> None:
    """A line for the user, on standard error: apart from what pulumi prints."""
    typer.echo(text, err=True)
