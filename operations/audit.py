"""`audit`: what the account has of a stack and the stack's state does not know.

Owns: the command and its table. Changes nothing.
Leaves to others: the comparison (comparison.py), cancelling (`destroy`, or the person who reads the table).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from components.softlayer.client import Api, find_credentials
from operations import engine
from operations.comparison import Finding, Known, compare, known
from operations.engine import NO_STACK, Pulumi
from operations.errors import OperationsError

PATIENCE = 15.0
"""Seconds until an API that cannot be reached is an error."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(audit)


def audit(
    stack: Annotated[str, typer.Option("--stack", "-s", envvar="STACK", help="The stack's name.")] = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List what was ordered for a stack and is in no state, with its cost. Exit code 1 if there is any.

    What another stack of the same name has is listed, too, and changes the exit code only if this one has no
    identity any more: then it may be its own.
    """
    pulumi = Pulumi(stack, {})
    account = Account.of(pulumi, stack, known(exported(pulumi)))
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
    def of(cls, pulumi: Pulumi, stack: str, state: Known) -> Account:
        """The account of a stack with that state. Raises UserError."""
        project = yaml.safe_load((engine.CHECKOUT / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
        api = Api(find_credentials(stack_settings(pulumi, stack))).patient_for(PATIENCE)
        return cls(api, state, str(project), stack)

    def compare(self) -> list[Finding]:
        """All that account and state do not agree on. Raises SoftLayerFailed."""
        return compare(self.api, self.state, self.project, self.stack)


def exported(pulumi: Pulumi) -> dict[str, Any]:
    """The stack's state; empty if there is no such stack. Raises OperationsError."""
    done = pulumi.ask("stack", "export")
    if done.returncode == NO_STACK:
        return {}
    if done.returncode != 0:
        raise OperationsError(f"The stack's state cannot be read: {done.stderr.strip()}")
    text: dict[str, Any] = json.loads(done.stdout)
    return text


@dataclass(frozen=True)
class StackSettings:
    """The stack's settings by full key. Held in memory only: the API key may be among them."""

    values: Mapping[str, Mapping[str, Any]]

    def get(self, key: str) -> Any:
        """The value of a key like `swarm-galera:endpoint`; None if it is not set."""
        return self.values.get(key, {}).get("value")

    def section(self, key: str) -> Mapping[str, Any]:
        """The value of a key like `swarm-galera:servers`; empty if it is not set. Raises OperationsError."""
        held = self.values.get(key, {})
        value = held.get("objectValue", held.get("value"))
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                raise OperationsError(f"The setting {key} is not valid JSON ({error}): correct it.") from None
        return value if isinstance(value, Mapping) else {}


def stack_settings(pulumi: Pulumi, stack: str) -> StackSettings:
    """The stack's settings, from its file where the stack itself is gone. Raises OperationsError."""
    done = pulumi.ask("config", "--json")
    if done.returncode == NO_STACK:
        return StackSettings(_from_file(stack))
    if done.returncode == 0 and "swarm-galera:apiKey" in json.loads(done.stdout or "{}"):
        done = pulumi.ask("config", "--json", "--show-secrets")
    if done.returncode != 0:
        raise OperationsError(f"The stack's settings cannot be read: {done.stderr.strip()}")
    return StackSettings(json.loads(done.stdout or "{}"))


def _from_file(stack: str) -> dict[str, dict[str, Any]]:
    """Settings of a stack whose state is gone: what it ordered may still be there."""
    file = engine.CHECKOUT / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise OperationsError(f"There is no stack {stack}, and no {file.name}: --stack names another one.")
    config = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("config") or {}
    return {key: {"value": value} for key, value in config.items() if not isinstance(value, dict)}


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
