"""Lets go the host that a change of the database has held back, where nothing goes on with that change.

A run that was killed leaves the host paused whose node takes the writes (components/writer_last.py). The next
run that changes the service lets it go; but where the change was taken back, that run finds nothing to do.
Owned here: seeing that after an `up`, and doing what the wait would have done. Left to others: the texts for
hosts (components/host_scripts/writer_last.py, convergence.py).
"""

from __future__ import annotations

import asyncio

from components.galera import SERVICE
from components.host_scripts import convergence, writer_last
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.messages import say
from operations.node_program import telling
from operations.outputs import Outputs
from operations.remote_hosts import connected, first_reachable

PATIENCE = 3600.0
"""Seconds at the most; the text for the host gives up before, when nothing moves."""


def after_up(found: Outputs, seen: Seen | None) -> None:
    """Let it go once all others are as the swarm's service says. Raises OperationsError.

    Args:
        seen: the hosts as they were before the run; a run that went on with the change has let it go.
    """
    if found.has("data") and seen is not None and any(told.paused for told in seen.facts.values()):
        asyncio.run(_let_go(found))


def let_go(nodes: int) -> str:
    """Shell text for a manager; does nothing where no host is held back.

    Args:
        nodes: of the database.
    """
    wait = convergence.service_running(SERVICE, nodes, None)
    return "\n".join([writer_last.only_held(SERVICE), writer_last.free(SERVICE), wait, writer_last.release()])


async def _let_go(found: Outputs) -> None:
    async with connected(found) as hosts:
        name = first_reachable(found.managers, hosts)
        if name is None:
            raise OperationsError("No manager answers that could say which host is held back. Repeat `up`.")
        run = hosts.run(name, let_go(len(found.members)), limit=PATIENCE)
        answer = await telling("the host that a broken-off change holds back is let go", run)
    if answer.error:
        raise OperationsError(
            "A host is paused, held back by a change of the database that was broken off, and stays so: "
            f"{answer.error}. Remedy: mend that, then `up` again; `verify` names the host, and how it is let "
            "go by hand."
        )
    say("No host is held back by a change that was broken off.")
