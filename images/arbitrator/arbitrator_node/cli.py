"""The `arbitrator-node` command: the container's process and its health check."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

USAGE = """usage: arbitrator-node run     the container's process
       arbitrator-node health  exit code 0 while it is connected with a node of the database"""
CONNECTED = Path("/dev/shm/arbitrator-connected")
"""Is touched while there is a connection."""
EVERY = 2.0
"""Seconds between looks."""
ALONE = 30.0
"""Seconds without a connection to any present node after which garbd starts over."""
FRESH = 15.0
"""Seconds after which the file above is too old to be believed."""


def log(message: str) -> None:
    """One line for a person."""
    print(f"arbitrator-node: {message}", file=sys.stderr, flush=True)


def run() -> int:
    """Runs garbd as long as it is with the nodes; the engine starts this anew when it ends."""
    from . import garbd
    from . import settings as settings_module

    settings = settings_module.load()
    process: subprocess.Popen[bytes] | None = None

    def stop(_number: int, _frame: FrameType | None) -> None:
        if process is None:
            sys.exit(0)
        process.terminate()  # it leaves its group in order

    # Before the wait: the container's first process is not ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    CONNECTED.unlink(missing_ok=True)
    peers = wait_for_nodes(settings.peers)
    address = garbd.own_address(settings.subnet, garbd.resolve(socket.gethostname()))
    if address is None:
        log(f"no address of this container is in {settings.subnet}. Attach the service to that network.")
        return 2
    log(f"a vote in {settings.cluster}, at {address}, with {', '.join(peers)}")
    process = subprocess.Popen(garbd.arguments(settings, address, peers))
    heard = time.monotonic()
    while process.poll() is None:
        if garbd.connected(garbd.connections(), garbd.resolve(settings.peers)):
            heard = time.monotonic()
            CONNECTED.touch()
        elif time.monotonic() - heard > ALONE:
            log(f"no connection with any node for {ALONE:.0f} s: starting over with their present addresses")
            process.kill()
        time.sleep(EVERY)
    return 0 if process.returncode in (0, -signal.SIGTERM) else 1


def wait_for_nodes(name: str) -> list[str]:
    """The addresses of nodes that take part in the group; waits for the first."""
    from . import garbd

    said = False
    while True:
        live = [address for address in garbd.resolve(name) if answers(address, garbd.PORT)]
        if live:
            return live
        if not said:
            said = True
            log(f"waiting for a node of the database ({name})")
        time.sleep(EVERY)


def answers(address: str, port: int) -> bool:
    """Whether anything listens there."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def health(path: Path = CONNECTED) -> int:
    """0 while garbd is connected with a node, with the reason."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        print("not connected with any node yet")
        return 1
    if age > FRESH:
        print(f"not connected with any node for {age:.0f} s")
        return 1
    print("connected")
    return 0


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code."""
    if argv == ["health"]:
        return health()
    if argv == ["run"]:
        from .settings import SettingsError

        try:
            return run()
        except SettingsError as error:
            log(str(error))
            return 2
    print(USAGE, file=sys.stderr)
    return 2
