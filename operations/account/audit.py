"""`audit`: what the account has of a stack and the stack's state does not know.

Owns: the command and its table. Changes nothing.
Leaves to others: the comparison (comparison.py), cancelling (`destroy`, or the person who reads the table).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from components.softlayer.client import Api, find_credentials
from operations.account.comparison import Finding, Known, compare, known
from operations.options import StackOption
from operations.pulumi_cli import Pulumi, project_name
from operations.stack_settings import StackSettings

PATIENCE = 15.0
"""Seconds until an API that cannot be reached is an error."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(audit)


def audit(
    stack: StackOption = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List what was ordered for a stack and is in no state, with its cost. Exit code 1 if there is any.

    What another stack of the same name has is listed, too, and changes the exit code only if this one has no
    identity any more: then it may be its own.
    """
    pulumi = Pulumi(stack, {})
    state = known(pulumi.export() or {})
    if state.no_account:
        typer.echo(
            "[]" if as_json else f"All hosts of stack {stack} are your own: nothing is ordered for it."
        )
        return
    account = Account.of(pulumi, state)
    found = account.compare()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        show(found, stack)
    if any(finding.ours or not account.state.owner for finding in found):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Account:
    """A stack's state, and the account that its settings name."""

    api: Api
    state: Known
    project: str
    stack: str

    @classmethod
    def of(cls, pulumi: Pulumi, state: Known) -> Account:
        """The account of pulumi's stack, which has that state. Raises UserError."""
        api = Api(find_credentials(StackSettings.of(pulumi))).patient_for(PATIENCE)
        return cls(api, state, project_name(), pulumi.stack)

    def compare(self) -> list[Finding]:
        """All that account and state do not agree on. Raises SoftLayerFailed."""
        return compare(self.api, self.state, self.project, self.stack)


def show(found: Sequence[Finding], stack: str, *, stderr: bool = False) -> None:
    """The findings as tables: the stack's own, and what others of its name have."""
    console = Console(stderr=stderr, width=None if Console(stderr=stderr).is_terminal else 160)
    own = [finding for finding in found if finding.ours]
    others = [finding for finding in found if not finding.ours]
    if not found:
        console.print(f"Account and state of stack {stack} agree: nothing is ordered that is in no state.")
    for title, part in ((f"Stack {stack}", own), (f"Other stacks called {stack}: ask first", others)):
        if not part:
            continue
        table = Table("what", "id", "name", "why", "what to do", "a month", title=title)
        for finding in part:
            cost = f"{finding.monthly:.2f}" if finding.monthly else ""
            table.add_row(finding.kind, finding.id, finding.name, finding.why, finding.todo, cost)
        console.print(table)
        console.print(f"{len(part)} in all, {sum(finding.monthly for finding in part):.2f} a month.")
