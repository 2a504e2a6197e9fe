"""Waiting for a service: until its tasks run as wanted, or until its containers are gone.

Leaves what a list of tasks means to `convergence`, and what follows from it to the resource, `service`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import docker.errors

from lab.plugins.docker import convergence
from lab.plugins.docker.durations import parse
from lab.plugins.docker.engine import Engine
from lab.plugins.docker.resource import failure
from lab.plugins.provider import Log, ResourceError
from lab.plugins.values import Properties, plain

_WHAT = "service"
_POLL = 0.5  # seconds between two looks at a service
_STILL = 1.0  # seconds that tasks must be seen running
_SECOND = 1_000_000_000


class NotConverged(Exception):
    """The tasks are not as wanted; the text says which and why."""


async def for_convergence(
    engine: Engine,
    id: str,
    inputs: Properties,
    log: Log,
    rolling: Callable[[Mapping[str, Any]], bool],
) -> None:
    """Wait until all tasks run and still do a moment later, else raise `NotConverged`.

    What fails at once is seen running, too, if one looks in just that moment. `rolling`: is it too early
    to tell?
    """
    settings = plain(inputs["convergeConfig"])
    timeout = settings.get("timeout", "3m")
    deadline = time.monotonic() + parse(timeout) / _SECOND
    shown = ""
    ran: tuple[str, ...] = ()
    while True:
        service, tasks, nodes = await _look(engine, id, log)
        name = service["Spec"]["Name"]
        current = convergence.progress(service, tasks, nodes)
        ended, problem = convergence.outcome(service)
        if problem:
            raise NotConverged(convergence.explained(f"service '{name}': {problem}", current))
        updating = bool(service.get("UpdateStatus")) and not ended
        runs = current.done and not updating and not rolling(service)
        if runs and current.tasks == ran:
            return
        ran = current.tasks if runs else ()
        pause = _STILL if runs else _POLL
        if time.monotonic() > deadline + pause:
            raise NotConverged(
                convergence.explained(f"service '{name}' did not converge within {timeout}", current)
            )
        said = current.words + (f"; {current.failures[0]}" if current.failures else "")
        if said != shown:
            await log("info", said, status=True)
            shown = said
        await asyncio.sleep(pause)


async def _look(engine: Engine, id: str, log: Log) -> tuple[dict[str, Any], list[Any], list[Any]]:
    try:
        service = await engine.read(log, lambda client: client.inspect_service(id))
        tasks = await engine.read(log, lambda client: client.tasks(filters={"service": id}))
        nodes = await engine.read(log, lambda client: client.nodes())
    except docker.errors.APIError as error:
        raise failure(_WHAT, id, error) from error
    return service, tasks, nodes


async def containers(engine: Engine, id: str, log: Log) -> list[str]:
    """Those of a service's tasks that are not shut down. Raises docker's APIError."""
    tasks = await engine.read(log, lambda client: client.tasks(filters={"service": id}))
    statuses = (task["Status"] for task in tasks if task["Status"]["State"] != "shutdown")
    return [
        status["ContainerStatus"]["ContainerID"]
        for status in statuses
        if status.get("ContainerStatus", {}).get("ContainerID")
    ]


async def for_removal(engine: Engine, name: str, containers: Sequence[str], grace: str, log: Log) -> None:
    """Wait until a removed service's containers are gone from the engine's host, for `grace` at most."""
    deadline = time.monotonic() + parse(grace) / _SECOND
    for container in containers:
        while await _is_there(engine, container, log):
            if time.monotonic() > deadline:
                raise ResourceError(
                    f"service '{name}' is removed, but its container {container[:12]} is not gone within "
                    f"{grace}. When it is, run `pulumi refresh`, then `pulumi up`"
                )
            await log("info", f"waiting for container {container[:12]} to end", status=True)
            await asyncio.sleep(_POLL)


async def _is_there(engine: Engine, container: str, log: Log) -> bool:
    try:
        await engine.read(log, lambda client: client.inspect_container(container))
    except docker.errors.NotFound:
        return False
    return True
