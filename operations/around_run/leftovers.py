"""What a killed run leaves behind, and clearing it away so that the next run simply goes on.

Owned here: the lock in a file backend, processes that outlived their run, pending operations in a state. Left
to others: running Pulumi (`pulumi_cli.py`). Never touched: a lock or a process whose run is alive.

A run killed with SIGKILL leaves its provider processes behind, still at work: they would race the next
run for the same orders. So every process of a run carries a mark in its environment, and whoever holds a
stack's run lock may end all that carry the stack's mark.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from operations.errors import OperationsError
from operations.messages import say

MARK = "SWARM_GALERA_RUN"
PROC = Path("/proc")
ORDERLY = 300.0  # seconds an interrupted pulumi gets to let what is under way end
GRACE = 5.0  # seconds a left-over provider gets between SIGTERM and SIGKILL
POLL = 0.2
SAY = 10.0  # seconds between two lines of progress


def mark(backend: str, project: str, stack: str) -> str:
    """The mark of a stack's processes: of the stack in its backend, the same for every run."""
    return hashlib.sha256(f"{backend}\n{project}\n{stack}".encode()).hexdigest()[:16]


# -- processes ---------------------------------------------------------------------------------------------


def marked(value: str, proc: Path = PROC, name: str = MARK) -> list[int]:
    """The processes that carry the mark, without this one, its ancestors, and zombies."""
    wanted = f"{name}={value}".encode()
    own = set(_ancestors(os.getpid(), proc))
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit() or int(folder.name) in own:
            continue
        try:
            if (
                wanted in (folder / "environ").read_bytes().split(b"\0")
                and _fields(int(folder.name), proc)[0] != "Z"
            ):
                found.append(int(folder.name))
        except OSError:
            continue  # it ended, or is somebody else's
    return found


def end_marked(value: str) -> None:
    """End what an earlier run of the stack left running: its pulumi orderly, then whatever is still there."""
    running = marked(value)
    if not running:
        return
    earlier = [pid for pid in running if _name(pid) == "pulumi"]
    if earlier:
        # It was told to end when its run died (`pulumi_cli.py`); a second SIGINT means "at once".
        say(f"An earlier run is still ending (pulumi, process {earlier[0]}): waiting for it.")
        for _ in ("orderly", "at once"):
            if _await(lambda: [pid for pid in marked(value) if pid in earlier], ORDERLY, "that pulumi"):
                break
            _signal(earlier, signal.SIGINT)
    running = marked(value)
    if running:
        say(f"Ending {len(running)} processes that a killed run left behind.")
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(marked(value), number)
        if _await(lambda: marked(value), GRACE, "left-over processes"):
            return
    raise OperationsError(
        f"Processes {marked(value)} of a killed run do not end: look at them with `ps`, end them, and run "
        "again."
    )


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _await(rest: Callable[[], list[int]], patience: float, what: str) -> bool:
    begin = said = time.monotonic()
    while rest():
        now = time.monotonic()
        if now - begin > patience:
            return False
        if now - said > SAY:
            said = now
            say(f"Still waiting for {what} ({now - begin:.0f} s).")
        time.sleep(POLL)
    return True


def _fields(pid: int, proc: Path) -> list[str]:
    """/proc/PID/stat behind the name: state, parent, …, start time at 19."""
    return (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _ancestors(pid: int, proc: Path) -> Iterator[int]:
    while pid > 0:
        yield pid
        try:
            pid = int(_fields(pid, proc)[1])
        except (OSError, IndexError):
            return


def _name(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


# -- the lock of a file backend -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Lock:
    """A lock file of Pulumi's: who took it, where, and when (seconds since the epoch)."""

    path: Path
    pid: int
    host: str
    user: str
    since: float


def lock_folder(backend: str, project: str, stack: str) -> Path | None:
    """Where a `file://` backend keeps a stack's locks; None for any other backend."""
    parts = urlsplit(backend)
    if parts.scheme != "file":
        return None
    root = Path(unquote(parts.netloc + parts.path)).expanduser()
    return root / ".pulumi" / "locks" / "organization" / project / stack


def locks(folder: Path) -> list[Lock]:
    """The locks in the folder; one that vanishes while it is read was none."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            text = json.loads(path.read_text(encoding="utf-8"))
            since = datetime.fromisoformat(text["timestamp"]).timestamp()
            found.append(Lock(path, int(text["pid"]), text["hostname"], text["username"], since))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError):
            # Killed while writing it: as old as its file, and nobody's.
            found.append(Lock(path, 0, socket.gethostname(), "", path.stat().st_mtime))
    return found


def alive(lock: Lock, proc: Path = PROC) -> bool:
    """Whether the lock's process runs on this machine; a later process with its number does not count."""
    if lock.pid <= 0:
        return False
    try:
        ticks = int(_fields(lock.pid, proc)[19])
        up = float((proc / "uptime").read_text(encoding="ascii").split()[0])
    except (OSError, IndexError, ValueError):
        return False
    started = time.time() - up + ticks / os.sysconf("SC_CLK_TCK")
    return started <= lock.since + 1.0  # the lock's second is rounded, and clocks are slewed


def clear_locks(folder: Path) -> None:
    """Remove the locks of processes of this machine that are gone; raise OperationsError for any other."""
    for lock in locks(folder):
        when = datetime.fromtimestamp(lock.since).strftime("%Y-%m-%d %H:%M:%S")
        if lock.host != socket.gethostname():
            raise OperationsError(
                f"The stack is locked by {lock.user}@{lock.host} (process {lock.pid}) since {when}: wait for "
                "its end; if that run is dead for certain, `pulumi cancel` removes the lock."
            )
        if alive(lock):
            raise OperationsError(
                f"The stack is locked by process {lock.pid} of {lock.user}, which runs since {when}: wait "
                f"for its end, or end it orderly with `kill -INT {lock.pid}`."
            )
        lock.path.unlink(missing_ok=True)
        lock.path.with_name(lock.path.name + ".attrs").unlink(missing_ok=True)
        say(f"Removed the lock of a killed run (process {lock.pid}, {when}).")


def mend_state(backend: str, project: str, stack: str) -> None:
    """Remove what a killed run left half-written beside the state in a `file://` backend.

    Pulumi replaces the state itself in one step, but writes a file of attributes (content type, checksum)
    beside it in place. Killed between, it leaves that file empty, and then cannot load the state ("EOF").
    Without the file, it can.
    """
    parts = urlsplit(backend)
    if parts.scheme != "file":
        return
    folder = Path(unquote(parts.netloc + parts.path)).expanduser() / ".pulumi"
    for file in [*(folder / "stacks" / project).glob(f"{stack}.json*.attrs"), folder / "meta.yaml.attrs"]:
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except ValueError:
            file.unlink(missing_ok=True)
            say(f"Removed {file.name}, which a killed run left half-written; the state itself is whole.")


# -- pending operations --------------------------------------------------------------------------------------


def without_pending(exported: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """An exported state without pending operations, and these in words, e.g. `creating galera-1`.

    Nothing is lost by it: what was being updated or deleted is in the state as it was, and what was being
    created is found again by its tag before anything is ordered, or made again by a command that may be
    repeated.
    """
    deployment = exported.get("deployment") or {}
    pending = deployment.get("pending_operations") or []
    words = [f"{each['type']} {each['resource']['urn'].rpartition('::')[2]}" for each in pending]
    clean = {key: value for key, value in deployment.items() if key != "pending_operations"}
    return {**exported, "deployment": clean}, words
