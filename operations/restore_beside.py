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
from operations.cluster_facts import FIND_CONTAINER
from operations.deep.sums import text
from operations.errors import OperationsError
from operations.messages import say
from operations.nodes import Hosts, told
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS, connected
from operations.restore_plan import Wish, chosen, planned, refuse_names, refuse_room, states, under_way

MEMORY = "1g"
"""Of the container with a scratch server."""

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
        refuse_room({name: said[name]}, int(plan["room"]))
        say(
            f"A scratch server on {name} brings {what} to {plan['position']}; it is loaded as {into}, which "
            "is new, and replicated. Nothing that is there is changed."
        )
        if not yes and not typer.confirm("Go on?", err=True):
            raise typer.Exit(1)
        facts = assign(schema=schema, table=table, created="1" if created else "")
        script = "\n".join([scratch(found, plan, ["dump", what, into], "galera-restore"), facts, _BESIDE])
        await told(hosts, name, script, key)
        say(f"{into} is {what} as of {plan['position']}.")


async def _refuse_existing(hosts: Hosts, found: Outputs, name: str, schema: str, table: str) -> bool:
    """Whether the database is new. Raises OperationsError for what would be written over."""
    query = (
        f"SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {text(schema)};"  # noqa: S608 - quoted
        "SELECT COUNT(*) FROM information_schema.TABLES "
        f"WHERE TABLE_SCHEMA = {text(schema)} AND TABLE_NAME = {text(table)};"
    )
    facts = assign(service=found.service, query=query)
    ask = 'docker exec -u 0 -i "$container" mariadb --skip-ssl -NB <<<"$query"'
    answer = await hosts.run(name, f"{facts}\n{FIND_CONTAINER}\n{ask}")
    if answer.error:
        raise OperationsError(f"{name}: {answer.error}")
    schemas, tables = (int(count) for count in answer.text.split())
    if (schemas and not table) or tables:
        raise OperationsError(
            f"{f'{schema}.{table}' if table else schema} exists, and would be written over. Nothing was "
            "touched. Remedy: another name, or drop it yourself."
        )
    return not schemas
