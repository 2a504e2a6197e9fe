"""The node's own program, `galera-node`, asked and told through a host's container.

Owns: how it is called on a host, whose node is asked, waiting with lines of progress for what it does.
Leaves to others: what it does (images/galera/galera_node/commands.py), why it is told
(replace/replacement.py, …).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

from components.host_scripts.shell import assign
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.facts.cluster import FIND_CONTAINER, HostFacts, json_object
from operations.messages import say
from operations.notes import Note
from operations.outputs import Outputs
from operations.remote_hosts import Answer, RemoteHosts

T = TypeVar("T")
TELL = 10.0
"""Seconds between lines of progress."""
MOVED_WITHIN = 60.0
"""Seconds for the writes to be with another node."""
DRAINED = 4.0
"""Seconds after which load balancers have ended what clients had open: longer than a node drains
(`DRAIN` in images/galera/galera_node/endpoints.py) and checks are apart."""


def text(outputs: Outputs, *words: str, errors: bool = True) -> str:
    """Shell text for a host that has a node: `galera-node WORDS`; what it says, and its exit code.

    Args:
        errors: among what it says; without, what it answers alone.
    """
    return (
        f"{assign(service=outputs.service, words=list(words))}\n{FIND_CONTAINER}\n"
        f'docker exec "$container" galera-node "${{words[@]}}" 2>{"&1" if errors else "/dev/null"}'
    )


def speaker(seen: Seen, but: Collection[str] = ()) -> str:
    """The host whose node is asked: the first that is Synced. Raises OperationsError if none is."""
    for name in seen.outputs.members:
        galera = seen.facts.get(name, HostFacts()).galera
        if name not in but and galera.get("wsrep_local_state_comment") == "Synced":
            return name
    raise OperationsError(
        "No node of the database is Synced that could be asked: `verify` says what is amiss."
    )


async def tell(hosts: RemoteHosts, outputs: Outputs, host: str, *words: str) -> str:
    """Tell the node on a host; what it says. Raises OperationsError with its words where it refuses."""
    answer = await hosts.run(host, text(outputs, *words))
    if not answer.error:
        return answer.text.strip()
    raise OperationsError(refused(host, answer, words[0]))


def refused(host: str, answer: Answer, command: str) -> str:
    """Why the node's program did not do it."""
    if "usage: galera-node" in answer.text:
        return (
            f"The image of the database on {host} is older than this command: its `galera-node {command}` "
            "does not know all of it. Remedy: an image of this version (galera.image), then `up`"
        )
    said = answer.text.strip() or answer.error
    return f"{host}: {said}"


async def status(hosts: RemoteHosts, outputs: Outputs, host: str) -> Mapping[str, Any]:
    """What the node on a host knows of the cluster; empty while it does not say."""
    answer = await hosts.run(host, text(outputs, "status", "--json", errors=False))
    return json_object(answer.text)


async def take_out(hosts: RemoteHosts, seen: Seen, host: str, note: Note) -> None:
    """Have load balancers send nobody to a host's node any more, and the writes go to another one; returns
    once they do. The note stays with it until `bring_back`, whatever restarts. Raises OperationsError.
    """
    found, by = seen.outputs, speaker(seen, {host})
    await tell(hosts, found, by, "maintenance", "on", host, "--note", note.dumps())
    if found.balancer is None:
        return  # nobody asks who takes the writes, so nobody is named
    began = told = time.monotonic()
    while problem := _still(await status(hosts, found, by), host, by):
        now = time.monotonic()
        if now - began > MOVED_WITHIN:
            raise OperationsError(
                f"{problem} after {MOVED_WITHIN:.0f} s, though it is to be taken out. "
                f"Remedy: `galera-node status` in a container of {found.service} says who is able; the "
                "command may be repeated"
            )
        if now - told >= TELL:
            told = now
            say(f"waiting for another node to take the writes of {host}")
        await asyncio.sleep(0.5)
    await asyncio.sleep(DRAINED)


def _still(told: Mapping[str, Any], host: str, by: str) -> str:
    """Why the writes may still be made on `host`, as `by` has `told`; empty if they are not.

    A node that does not say has not said no.
    """
    if not told.get("cluster"):
        return f"{by} does not say whether {host} takes the writes ({told.get('store') or 'no answer'})"
    return f"{host} still takes the writes" if told.get("writer") == host else ""


async def bring_back(hosts: RemoteHosts, seen: Seen, host: str) -> None:
    """End a node's maintenance: load balancers send clients there once it is Synced.

    Raises OperationsError.
    """
    await tell(hosts, seen.outputs, speaker(seen), "maintenance", "off", host)


async def telling(what: str, work: Awaitable[T], every: float = TELL) -> T:
    """Wait for `work`, with a line of progress every `every` seconds."""
    began, task = time.monotonic(), asyncio.ensure_future(work)
    while not task.done():
        done, _ = await asyncio.wait({task}, timeout=every)
        if not done:
            say(f"{what}: {time.monotonic() - began:.0f} s")
    return task.result()


async def wait_for(
    what: str, problem: Callable[[], Awaitable[str]], patience: float, every: float = 3.0
) -> str:
    """Wait until there is no problem any more, telling it as it changes; what is left, empty if nothing."""
    began, told_at, said = time.monotonic(), -TELL, ""
    while why := await problem():
        now = time.monotonic() - began
        if now >= patience:
            return why
        if why != said or now - told_at >= TELL:
            say(f"{what}: {why} ({now:.0f} s)")
            said, told_at = why, now
        await asyncio.sleep(every)
    return ""
