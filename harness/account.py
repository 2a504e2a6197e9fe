"""A SoftLayer account whose servers are ready at once, for benches that need no hosts.

Owns: the lab's API with instant hosts, and something that shows an SSH host key at every address.
Leaves to others: the network namespace in which all those addresses are this machine's.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import asyncssh

from harness.lab_api import LabApi


class Account:
    """The API and the SSH answers, in threads of this process; use as a context.

    Attributes:
        endpoint: the API's URL.
        environment: credentials as the program reads them.
        lab: the API itself, for faults, durations and what was called.
    """

    def __init__(self, state: Path) -> None:
        """Args: state: a folder for the API's database."""
        self.lab = LabApi(state)
        self.endpoint = self.lab.endpoint
        self.environment = self.lab.environment
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Account:
        self._thread.start()
        self._ssh = asyncio.run_coroutine_threadsafe(_answer_ssh(), self._loop).result(timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(_end_ssh(self._ssh), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.lab.stop()


async def _answer_ssh() -> asyncssh.SSHAcceptor:
    """Show a host key to everybody on port 22, at whichever address; nobody gets in."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    return await asyncssh.listen("0.0.0.0", 22, server_host_keys=[key])  # noqa: S104 - of a namespace of its own


async def _end_ssh(server: asyncssh.SSHAcceptor) -> None:
    """Stop listening, and end what still goes on in this loop: clients may be connected."""
    server.close()
    await server.wait_closed()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
