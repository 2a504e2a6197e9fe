"""Long talks with the database's nodes: a command of a node's program, with its lines as they come.

Owned here: running one and reading its result. Left to others: the commands (images/galera).
"""

from __future__ import annotations

import contextlib
import json
from typing import Any, Protocol

from components.host_scripts.shell import assign, words
from operations.errors import OperationsError
from operations.facts.cluster import FIND_CONTAINER
from operations.messages import say
from operations.outputs import Outputs
from operations.remote_hosts import Answer, RemoteHosts

RESULT = "result="
"""Begins the line of a script's standard output that is its result."""


class Hosts(Protocol):
    """What runs scripts on hosts; `remote_hosts.RemoteHosts`."""

    async def run(self, name: str, text: str, stdin: str = "", limit: float = 120.0) -> Answer:
        """Run one; never raises."""


def command(found: Outputs, *argv: str) -> str:
    """Shell text for a node's host: a command of the node's program, its standard input ours."""
    run = f'exec docker exec -i "$container" galera-node {words(argv)}'
    return f"{assign(service=found.service)}\n{FIND_CONTAINER}\n{run}"


async def asked(
    hosts: Hosts, found: Outputs, name: str, *argv: str, stdin: str = "", limit: float = 900.0
) -> Any:
    """The JSON that a command of one node prints. Raises OperationsError with the node's words."""
    answer = await hosts.run(name, command(found, *argv), stdin, limit)
    if answer.error:
        raise OperationsError(f"{name}: {answer.error}")
    text = answer.text.strip()
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise OperationsError(
            f"{name} answers to {' '.join(argv[:2])} with {text[:100]!r}: does it run an image of before? "
            "`up` brings it this version's."
        ) from None


async def told(hosts: RemoteHosts, name: str, text: str, stdin: str) -> str:
    """Runs a script that may take hours; its lines are the user's as they come, its result is returned.

    Raises OperationsError with its last line if it fails.
    """
    result, last = "", ""
    try:
        process = await hosts.start(name, text)
        process.stdin.write(stdin.encode())
        process.stdin.write_eof()
        while line := (await process.stdout.readline()).decode(errors="replace"):
            if line.startswith(RESULT):
                result = line.removeprefix(RESULT).strip()
            elif line.strip():
                last = line.strip()
                say(f"  {name}: {line.rstrip()}")
        await process.wait_closed()
    except OSError as error:
        raise OperationsError(
            f"{name}: the connection is lost ({error}); what was begun there goes on"
        ) from None
    finally:
        with contextlib.suppress(UnboundLocalError):
            process.close()
    if process.exit_status is None:
        raise OperationsError(f"{name}: the connection is lost; what was begun there goes on")
    if process.exit_status != 0:
        raise OperationsError(f"{name}: {last.removeprefix('error: ') or f'exit code {process.exit_status}'}")
    return result
