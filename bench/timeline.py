"""What `pulumi up` did when: the engine's event log, read as it is written.

Owns: following the log, a span for each resource that was made, the stage it belongs to.
Leaves to others: running pulumi (deploy.py), the longest chain (chain.py).

The log's own times are whole seconds, so each line gets the time at which it appears. Pulumi writes the log
for `PULUMI_OPTION_EVENT_LOG`, a command-line option given by the environment, so that the bench goes through
the same door as everybody.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

STAGES = ("servers", "hosts", "swarm", "network", "etcd", "galera")
"""In the order in which people do them."""
_STAGE_OF = {
    "swarm-galera:docker_disk:": "hosts",
    "swarm-galera:docker_engine:": "hosts",
    "swarm-galera:host_system:": "hosts",
    "swarm-galera:swarm:": "swarm",
    "swarm-galera:docker_host_access:": "network",
    "swarm-galera:overlay_network:": "network",
    "swarm-galera:etcd:": "etcd",
    "swarm-galera:galera:": "galera",
}
_OUTSIDE = ("pulumi-python:dynamic/softlayer", "command:", "docker:")
"""Types of resources that are made outside of the state; drawing a password is no work of any stage."""
LOOK = 0.05
"""Seconds between two looks at the log."""


@dataclass(frozen=True)
class Span:
    """One resource being made: seconds since the follower began."""

    urn: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


class Follower:
    """Follows a log that need not exist yet; use as a context around the run.

    Attributes:
        events: (seconds since the beginning, event), in order.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.events: list[tuple[float, dict[str, Any]]] = []

    def __enter__(self) -> Follower:
        self._begin = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=30)

    def _follow(self) -> None:
        position, rest = 0, b""
        while True:
            last = self._ended.wait(LOOK)
            if self._log.exists():
                with self._log.open("rb") as file:
                    file.seek(position)
                    new = file.read()
                now = time.perf_counter() - self._begin
                position += len(new)
                *lines, rest = (rest + new).split(b"\n")
                self.events.extend((now, json.loads(line)) for line in lines if line.strip())
            if last:
                return


def spans(events: Iterable[tuple[float, Mapping[str, Any]]]) -> dict[str, Span]:
    """A span for every resource that was made, by URN, from the engine's events."""
    begun: dict[str, float] = {}
    made: dict[str, Span] = {}
    for when, event in events:
        if (before := event.get("resourcePreEvent")) and before["metadata"]["op"] == "create":
            begun[before["metadata"]["urn"]] = when
        elif (after := event.get("resOutputsEvent")) and after["metadata"]["urn"] in begun:
            urn = after["metadata"]["urn"]
            made[urn] = Span(urn, begun[urn], when)
    return made


def stage_of(urn: str) -> str | None:
    """The stage a resource belongs to; None for what is nowhere but in the state."""
    types = urn.split("::")[2].split("$")
    if not types[-1].startswith(_OUTSIDE) and types[-1] != "pulumi:providers:docker":
        return None
    if urn.endswith("-images"):  # by hand, the services' first start fetches them
        return "galera"
    for component in reversed(types[:-1]):
        for prefix, stage in _STAGE_OF.items():
            if component.startswith(prefix):
                return stage
    return STAGES[0]


def windows(made: Iterable[Span]) -> dict[str, tuple[float, float]]:
    """By stage, from the first resource's beginning to the last one's end. Stages overlap."""
    found: dict[str, tuple[float, float]] = {}
    for span in made:
        stage = stage_of(span.urn)
        if stage is None:
            continue
        begin, end = found.get(stage, (span.begin, span.end))
        found[stage] = (min(begin, span.begin), max(end, span.end))
    return found


def dependencies(state: Mapping[str, Any]) -> dict[str, set[str]]:
    """By URN, what a resource waits for, from an exported state: the resources it names, its provider."""
    after: dict[str, set[str]] = {}
    for resource in state["deployment"]["resources"]:
        waits = set(resource.get("dependencies") or ())
        if resource.get("provider"):
            waits.add(resource["provider"].rsplit("::", 1)[0])
        after[resource["urn"]] = waits
    return after


def short(urn: str) -> str:
    """A resource's own name."""
    return urn.rsplit("::", 1)[-1]
