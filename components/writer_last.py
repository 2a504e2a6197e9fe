"""Has the database's node that takes the writes held back, in the moment in which its service is changed.

Owns: when that is done, and that a change is not held up by it. Leaves to others: what is done
(host_scripts/writer_last.py), letting the node go (the wait, galera.py).

A step of Pulumi's would run in every stack that exists, and at the wrong time: whether the service is changed
is known only when it is. So Pulumi calls a hook, in runs that change it and in no others.
"""

from __future__ import annotations

import asyncio

import pulumi

from components import remote
from components.any_manager import AnyManager
from components.host_scripts import writer_last

PATIENCE = 60.0
"""Seconds for a manager to answer."""


def hook(name: str, service: str, where: remote.Where) -> pulumi.ResourceHook | None:
    """For `before_update` of the service; None in a stack of before, whose steps are the first manager's.

    Args:
        name: of the resource.
    """
    if not isinstance(where, AnyManager):
        return None
    manager = where

    async def hold(_args: pulumi.ResourceHookArgs) -> None:
        await manager.options.future()  # the files are written by then
        step = f"{name}-last"
        argv = [*manager.interpreter, remote.as_root(remote.call(step, "create"), manager)]
        text = remote.with_values(remote.steps(step, writer_last.hold(service), None), "")
        problem = await held(argv, text)
        if problem:
            pulumi.log.warn(
                f"Which node of {service} takes the writes could not be found out, so the nodes are changed "
                f"in any order: {problem}"
            )

    return pulumi.ResourceHook(f"{name}-last", hold)


async def held(argv: list[str], text: str, patience: float = PATIENCE) -> str:
    """Run the script; says what it says. Why it failed, empty if it did not; never raises."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        return str(error)
    try:
        _, said = await asyncio.wait_for(process.communicate(text.encode()), patience)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"no answer within {patience:.0f} s"
    lines = said.decode(errors="replace").strip().splitlines()
    if process.returncode != 0:
        return lines[-1] if lines else f"exit code {process.returncode}"
    for line in lines:
        pulumi.log.info(line)
    return ""
