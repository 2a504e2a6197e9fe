"""Runs a command on this machine.

Owns: the child process, its environment, input, end and interruption. Leaves what is shown to `output`, which
command to run when to `provider`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from lab.plugins.command.output import Output
from lab.plugins.provider import ResourceError

_STOP_GRACE = 3.0  # seconds for a command to end after SIGTERM
_CHUNK = 32 * 1024  # bytes read at once


async def run(
    command: str,
    output: Output,
    *,
    interpreter: Sequence[str] = ("/bin/sh", "-c"),
    directory: str | None = None,
    stdin: str = "",
    environment: Mapping[str, str],
) -> None:
    """Run `command` to its end with `environment` on top of this process's. Raises `ResourceError`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *interpreter,
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that an interruption reaches what the command started, too
        )
    except OSError as error:
        raise ResourceError(output.failure(str(error), command)) from error
    try:
        await asyncio.gather(
            _feed(process.stdin, stdin),
            _drain(process.stdout, "stdout", output),
            _drain(process.stderr, "stderr", output),
            process.wait(),
        )
    except asyncio.CancelledError:
        await _stop(process)
        raise
    status = process.returncode
    assert status is not None
    if status < 0:
        raise ResourceError(output.failure(f"signal: {signal.Signals(-status).name}", command))
    if status:
        raise ResourceError(output.failure(f"exit status {status}", command))


async def _feed(stdin: asyncio.StreamWriter | None, text: str) -> None:
    assert stdin is not None
    # A command need not read its input.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(text.encode())
        await stdin.drain()
    stdin.close()


async def _drain(stream: asyncio.StreamReader | None, name: str, output: Output) -> None:
    assert stream is not None
    while data := await stream.read(_CHUNK):
        output.write(name, data)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_GRACE)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
