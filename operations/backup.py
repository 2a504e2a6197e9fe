"""`backups` and `backup`: what there is in the archive, and one more now.

Owns: the commands, the table and the JSON, waiting for a backup. Leaves to others: making it, and what must
hold (images/galera, `archive`), the checks of `verify` (checks/backup.py).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from operations import outputs
from operations.errors import OperationsError
from operations.messages import say
from operations.nodes import command
from operations.options import StackOption
from operations.outputs import Outputs
from operations.remote_hosts import RemoteHosts, connected

EVERY = 3.0
"""Seconds between two looks at how far a backup is."""
TOLD = 10.0
"""Seconds between two words on it."""
BEGINS = 180.0
"""Seconds until a backup that was asked for has begun: the node may be finding out where the archive ends."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(backups)
    app.command()(backup)


def backups(
    stack: StackOption = "dev",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for machines instead of a table.")
    ] = False,
) -> None:
    """List the backups, and say whether all is as it must be; exit code 0 only if it is."""
    found = with_backup(stack, "backups")
    told = asyncio.run(_ask(found))
    if as_json:
        print(json.dumps({"stack": stack, **told}, indent=2))
    else:
        show(told, stack)
    if not all(sentence["ok"] for sentence in told["sentences"]):
        raise typer.Exit(1)


def backup(
    stack: StackOption = "dev",
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only what has changed since the last backup.")
    ] = False,
) -> None:
    """Make a backup now, and wait for its end; what has begun goes on after Ctrl-C.

    The node that archives makes it. An incremental one needs a backup of the same node's data before it;
    where there is none, a full one is made.
    """
    found = with_backup(stack, "backup")
    asyncio.run(_make(found, "incremental" if incremental else "full"))


def with_backup(stack: str, what: str) -> Outputs:
    """The outputs of a stack that has an archive. Raises OperationsError."""
    found = outputs.of_stack(stack)
    found.require_data(stack, what)
    if not found.backup:
        raise OperationsError(
            f"Stack {stack} makes no backups: its settings have no section `backup`, or no `up` has come to "
            "its end since. docs/how-to/backup.md says what belongs there."
        )
    return found


async def _on_any(hosts: RemoteHosts, found: Outputs, *words: str) -> str:
    """What the first node says that answers. Raises OperationsError with what each has said."""
    failed = []
    for name in found.members:
        answer = await hosts.run(name, command(found, *words))
        if not answer.error:
            return answer.text
        failed.append(f"{name}: {answer.error.splitlines()[-1] if answer.error else ''}")
    raise OperationsError(f"No node could be asked ({'; '.join(failed)}). `verify` names what is amiss.")


async def _ask(found: Outputs) -> dict[str, Any]:
    async with connected(found) as hosts:
        return read(await _on_any(hosts, found, "backups", "--json"))


def read(text: str) -> dict[str, Any]:
    """What a node says. Raises OperationsError for words that are no report."""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "sentences" not in told:
        raise OperationsError(
            "The nodes know nothing of backups: they run an image of before, or were not started anew since "
            "the settings have `backup`. Run `up`."
        )
    return told


async def _make(found: Outputs, kind: str) -> None:
    async with connected(found) as hosts:
        asked = (await _on_any(hosts, found, "backup", kind)).strip()
        say(f"Asked for a backup ({kind}).")
        began, spoke = time.monotonic(), time.monotonic()
        while True:
            told = read(await _on_any(hosts, found, "backups", "--json"))
            archive = told["archive"]
            if archive.get("asked") == asked:
                break
            now = time.monotonic()
            if archive.get("running"):
                began = now  # another one, before it
            elif now - began > BEGINS:
                raise OperationsError(waits(told))
            if now - spoke >= TOLD:
                spoke = now
                say(progress(told))
            await asyncio.sleep(EVERY)
    say(outcome(told))


def outcome(told: Mapping[str, Any]) -> str:
    """What came of the last try. Raises OperationsError if that failed."""
    archive = told["archive"]
    if archive.get("failed"):
        raise OperationsError(f"The backup failed on {archive['node']}: {archive['failed']}.")
    made = next((base for base in told["bases"] if base["begun"] == archive.get("tried")), None)
    if made is None:
        return "The backup is there, and not in the list yet: `python -m operations backups`."
    sizes = f"{size(made['before'])}, {size(made['stored'])} stored"
    return f"{made['name']} is there: {sizes}, from {made['node']}."


def waits(told: Mapping[str, Any]) -> str:
    """Why nothing has begun."""
    if not told.get("archiver"):
        return (
            "No node archives, so nobody makes the backup. It is made once one does; `galera-node backups` "
            "in a node's container, and the nodes' logs, say why none does."
        )
    problem = told["archive"].get("problem") or "it has not begun within some minutes"
    return f"{told['archiver']} has not made the backup: {problem}. It is made once that is over."


def progress(told: Mapping[str, Any]) -> str:
    """How far it is."""
    archive = told["archive"]
    if archive.get("running"):
        return f"{archive['node']} makes {archive['running']}: {size(int(archive.get('done', 0)))} so far …"
    return f"{told.get('archiver') or 'nobody'} archives; the backup has not begun …"


def size(count: int) -> str:
    """Bytes for people."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} B"


def show(told: Mapping[str, Any], stack: str) -> None:
    """The table for people, and what must hold."""
    console = Console()
    table = Table(title=f"Backups of stack {stack} in {told['place']}", title_justify="left")
    for heading in ("backup", "from", "ended (UTC)", "number", "size", "stored", "SHA-256", "schema"):
        table.add_column(heading, overflow="fold")
    for base in told["bases"]:
        former = "" if base["timeline"] == told["timeline"] else " (former timeline)"
        table.add_row(
            f"{base['name']}{former}",
            base["node"],
            base["ended"].replace("T", " ").rstrip("Z"),
            str(base["gtid"]),
            size(base["before"]),
            size(base["stored"]),
            base["sha256"][:16],
            base["schema"],
        )
    console.print(table)
    for sentence in told["sentences"]:
        mark = "[green]ok[/]" if sentence["ok"] else "[bold red]FAILED[/]"
        console.print(f"{mark} {escape(sentence['what'])}: {escape(sentence['found'])}", soft_wrap=True)
    for remedy in dict.fromkeys(s["remedy"] for s in told["sentences"] if not s["ok"] and s["remedy"]):
        console.print(f"Remedy: {escape(remedy)}", highlight=False, soft_wrap=True)
