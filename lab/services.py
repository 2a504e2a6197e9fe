"""The lab's long-running processes: API, registry, apt repository, name servers.

Owned here: starting one with a log and a file that names its process, telling whether it still runs, ending
it. Left to others: what they are (`daemons.py`), keeping one apart from who starts it (`detached.py`). A
process counts as the service only if it started when the file says, so that a process number that was given
to somebody else is never taken for it, nor killed. And an answer on its port counts only if the process
itself listens there: it may be a stranger's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import detached
from lab.errors import LabError

POLL = 0.1  # seconds
PATIENCE = 10.0  # seconds between SIGTERM and SIGKILL
LISTENING = "0A"  # a socket's state in /proc/net/tcp
TAIL = 10  # last lines of the log shown when a service does not come up


@dataclass(frozen=True)
class Service:
    """One process by its name; `record` and `log` are its files."""

    name: str
    record: Path
    log: Path


def start_time(pid: int) -> int | None:
    """When the process started, in ticks since the machine's boot; None if there is none, or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def pid(service: Service) -> int | None:
    """The service's process, None if it does not run."""
    try:
        record = json.loads(service.record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    # One that had ended before it was recorded has no start: it is nobody's, as is a number without process.
    number, started = int(record["pid"]), record["started"]
    return number if started is not None and start_time(number) == started else None


def matches(service: Service, key: str) -> bool:
    """Whether the service runs and was started with this `key` (a digest of its configuration)."""
    if pid(service) is None:
        return False
    return bool(json.loads(service.record.read_text(encoding="utf-8")).get("key") == key)


def listens(number: int, port: int) -> bool:
    """Whether this very process takes connections on the TCP port, in whichever network namespace it is."""
    try:
        sockets = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{number}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
        return any(os.readlink(file) in sockets for file in Path(f"/proc/{number}/fd").iterdir())
    except OSError:  # it has just ended
        return False


def start(
    service: Service,
    argv: Sequence[str],
    *,
    port: int,
    cwd: Path,
    env: Mapping[str, str],
    key: str,
    ready: Callable[[], bool],
    patience: float = 60.0,
) -> bool:
    """Start the service unless it runs with the same `key`, wait until `ready`; returns if it was started.

    It must listen on `port` itself. LabError with the end of its log when it ends, or is not ready within
    `patience` seconds.
    """
    fresh = not matches(service, key)
    if fresh:
        stop(service)
        service.record.parent.mkdir(parents=True, exist_ok=True)
        service.log.parent.mkdir(parents=True, exist_ok=True)
        number = detached.start(argv, log=service.log, cwd=cwd, env=env)
        record = {"pid": number, "started": start_time(number), "key": key}
        service.record.write_text(json.dumps(record), encoding="utf-8")
    deadline = time.monotonic() + patience
    while not ((running := pid(service)) and listens(running, port) and ready()):
        if running is None:
            raise LabError(
                f"The lab's {service.name} ended at once; its log, {service.log}, ends with:\n"
                f"{tail(service)}\n"
                f"If its address is in use: `python -m lab exec -- ss -ltnp 'sport = :{port}'` shows by whom."
            )
        if time.monotonic() > deadline:
            raise LabError(
                f"The lab's {service.name} does not answer after {patience:.0f} s; its log, {service.log}, "
                f"ends with:\n{tail(service)}"
            )
        time.sleep(POLL)
    return fresh


def stop(service: Service) -> None:
    """End the service: SIGTERM, after 10 s SIGKILL for all of its session. Not running is fine."""
    number = pid(service)
    if number is not None:
        for how, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, PATIENCE)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(number, how)
            deadline = time.monotonic() + patience
            while pid(service) is not None and time.monotonic() < deadline:
                time.sleep(POLL)
            if pid(service) is None:
                break
    service.record.unlink(missing_ok=True)


def tail(service: Service) -> str:
    """The last lines of the service's log, indented."""
    try:
        lines = service.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "    (no log)"
    return "\n".join(f"    {line}" for line in lines[-TAIL:])
