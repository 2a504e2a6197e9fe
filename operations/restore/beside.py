"""One database or table from the archive beside the running one, under a new name, by a scratch server.

Owned here: refusing what would be written over, and the order of the steps. Left to others: the scratch
server (images/galera, `restore.scratch_server`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import typer

from components.host_scripts.shell import assign, body
from operations.deep.sums import text
from operations.errors import OperationsError
from operations.facts.cluster import FIND_CONTAINER
from operations.messages import say
from operations.nodes import Hosts, told
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS, connected
from operations.restore.plan import (
    Wish,
    chosen,
    planned,
    refuse_names,
    refuse_scratch_room,
    states,
    under_way,
)

MEMORY = "1g"
"""Of the container with a scratch server."""
SPARE = 512 << 20
"""Bytes that stay free on every node beside what is loaded."""
HALF = "restore: not whole yet"
"""Comment of a new database until all is in it: a command that was killed leaves half of one."""

SCRATCH = body("restore_scratch", SCRIPTS)
_BESIDE = body("restore_beside", SCRIPTS)


def scratch(found: Outputs, plan: Mapping[str, Any], words: list[str], what: str) -> str:
    """Shell text for a node's host: the function `scratch`, which runs a server on what the plan brings."""
    facts = assign(
        service=found.service,
        timeline=plan["timeline"],
        number=plan["number"],
        memory=MEMORY,
        name=f"{what}-{secrets.token_hex(4)}",
        words=words,
    )
    return f"{facts}\n{FIND_CONTAINER}\n{SCRATCH}"


async def beside(found: Outputs, wish: Wish, key: str, names: tuple[str, str], yes: bool) -> None:
    """From the plan to the new database or table. `names`: what, and what it is to be called."""
    what, into = names
    if not wish.to:
        raise OperationsError("Say what to restore to: --to '2026-11-28 14:32:10', a GTID, or latest.")
    refuse_names(what, into)
    async with connected(found) as hosts:
        said = await states(hosts, found)
        if (record := under_way(said)) is not None and record["phase"] != "join":
            raise OperationsError(next(iter(said.values()))["told"])
        name = chosen(said, wish.node)
        schema, _, table = into.partition(".")
        created = await _refuse_existing(hosts, found, name, schema, table)
        say(f"The plan, as {name} makes it from the archive:")
        plan = await planned(hosts, found, name, wish, key)
        refuse_scratch_room(name, said[name], int(plan["room"]))
        say(
            f"A scratch server on {name} brings {what} to {plan['position']}; it is loaded as {into}, which "
            "is new, and replicated. Nothing that is there is changed."
        )
        if not yes and not typer.confirm("Go on?", err=True):
            raise typer.Exit(1)
        await told(hosts, name, script(found, plan, names, created, room_on_all(said, name, plan)), key)
        say(f"{into} is {what} as of {plan['position']}.")


def script(found: Outputs, plan: Mapping[str, Any], names: tuple[str, str], created: bool, room: int) -> str:
    """Shell text for the host of the scratch server. created: the database is new. room: as `room_on_all`.

    A table is loaded under a name of its own, and gets the right one once it is whole: a rename writes over
    nothing, whoever has made a table of that name meanwhile.
    """
    what, into = names
    schema, _, table = into.partition(".")
    staging = f"restoring_{secrets.token_hex(4)}" if table else ""
    words = ["dump", what, f"{schema}.{staging}" if table else into, str(room)]
    facts = assign(schema=schema, table=table, staging=staging, created="1" if created else "", half=HALF)
    return "\n".join([scratch(found, plan, words, "galera-restore"), facts, _BESIDE])


def room_on_all(said: Mapping[str, Mapping[str, Any]], name: str, plan: Mapping[str, Any]) -> int:
    """Bytes that may be loaded: the fullest node counts. On `name` the scratch server has its part, too."""
    free = {node: int(state["free"]) for node, state in said.items()}
    free[name] -= int(plan["room"])
    return max(0, min(free.values()) - SPARE)


async def _refuse_existing(hosts: Hosts, found: Outputs, name: str, schema: str, table: str) -> bool:
    """Whether the database is new. Raises OperationsError for what would be written over."""
    query = (
        f"SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {text(schema)};"  # noqa: S608 - quoted
        "SELECT COUNT(*) FROM information_schema.TABLES "
        f"WHERE TABLE_SCHEMA = {text(schema)} AND TABLE_NAME = {text(table)};"
        "SELECT COUNT(*) FROM information_schema.SCHEMATA "
        f"WHERE SCHEMA_NAME = {text(schema)} AND SCHEMA_COMMENT = {text(HALF)};"
    )
    facts = assign(service=found.service, query=query)
    ask = 'docker exec -u 0 -i "$container" mariadb --skip-ssl -NB <<<"$query"'
    answer = await hosts.run(name, f"{facts}\n{FIND_CONTAINER}\n{ask}")
    if answer.error:
        raise OperationsError(f"{name}: {answer.error}")
    schemas, tables, half = (int(count) for count in answer.text.split())
    if half:
        raise OperationsError(
            f"{schema} is half of what a restore was to bring: it works still, or was broken off. Nothing "
            f"was touched. Remedy: wait for its end; or drop it (DROP DATABASE {schema}), and repeat."
        )
    if (schemas and not table) or tables:
        raise OperationsError(
            f"{f'{schema}.{table}' if table else schema} exists, and would be written over. Nothing was "
            "touched. Remedy: another name, or drop it yourself."
        )
    return not schemas
