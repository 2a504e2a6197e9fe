"""How far a service is from what was asked for: pure functions over what the engine lists.

A task counts as running once its container is healthy: the engine keeps it in "starting" until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Task = Mapping[str, Any]

_FAILED = ("failed", "rejected", "orphaned")
_PENDING = ("new", "pending", "allocated", "assigned", "accepted", "preparing", "ready", "starting")
_SHOWN = 5  # different failures in one message


@dataclass(frozen=True)
class Progress:
    """`tasks`, by id, run of `wanted`; `words` say what the others do, `failures` what went wrong."""

    tasks: tuple[str, ...]
    wanted: int
    words: str
    failures: tuple[str, ...]

    @property
    def done(self) -> bool:
        return len(self.tasks) >= self.wanted


def progress(
    service: Mapping[str, Any], tasks: Iterable[Task], nodes: Iterable[Mapping[str, Any]]
) -> Progress:
    """Where a replicated service stands, from its tasks and the swarm's nodes."""
    names = {node["ID"]: node.get("Description", {}).get("Hostname", node["ID"]) for node in nodes}
    up = {node["ID"] for node in nodes if node.get("Status", {}).get("State") != "down"}
    listed = list(tasks)
    wanted = int(service["Spec"]["Mode"].get("Replicated", {}).get("Replicas", 1))
    version = service["Spec"]["TaskTemplate"].get("ForceUpdate", 0)
    current = [
        task
        for task in listed
        if task.get("DesiredState") == "running" and task["Spec"].get("ForceUpdate", 0) == version
    ]
    running = [t for t in current if t["Status"]["State"] == "running" and t.get("NodeID") in up]
    others = Counter(t["Status"]["State"] for t in current if t["Status"]["State"] != "running")
    words = f"{len(running)}/{wanted} running"
    if others:
        words += " (" + ", ".join(f"{count} {state}" for state, count in sorted(others.items())) + ")"
    ids = tuple(sorted(task["ID"] for task in running))
    return Progress(ids, wanted, words, failures(listed, names))


def failures(tasks: Iterable[Task], names: Mapping[str, str]) -> tuple[str, ...]:
    """Why tasks failed or can't be placed, newest first, each reason once: `galera-1: No such image: …`."""
    reasons: dict[str, None] = {}
    newest = sorted(tasks, key=lambda t: str(t["Status"].get("Timestamp", "")), reverse=True)
    for task in newest:
        status = task["Status"]
        failed = status["State"] in _FAILED
        stuck = status["State"] in _PENDING and status.get("Err")
        if not failed and not stuck:
            continue
        where = names.get(task.get("NodeID", ""), "")
        reason = status.get("Err") or status.get("Message") or status["State"]
        reasons.setdefault(f"{where}: {reason}" if where else str(reason))
    return tuple(reasons)[:_SHOWN]


def explained(what: str, current: Progress) -> str:
    """A sentence on a service that did not get there."""
    words = f"{what}: {current.words}"
    if current.failures:
        return words + ". What its tasks say:\n" + "\n".join(f"  {reason}" for reason in current.failures)
    return words + ". Its tasks report no error; see `docker service ps --no-trunc` and `docker service logs`"


def outcome(service: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether an update has come to its end, and what went wrong with it (empty: nothing)."""
    status = service.get("UpdateStatus") or {}
    state, message = status.get("State", ""), status.get("Message", "")
    if state in ("paused", "rollback_completed", "rollback_paused"):
        word = {
            "paused": "update paused",
            "rollback_completed": "rolled back",
            "rollback_paused": "rollback paused",
        }
        return True, f"{word[state]}: {message}" if message else word[state]
    return state == "completed", ""
