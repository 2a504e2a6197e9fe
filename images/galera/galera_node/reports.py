"""What this node tells: the health check, the other nodes when they ask, and `galera-node status`.

Owns the words on the way and whether the health check has heard that all is well. Leaves to others: the
verdict (`health`), what mariadbd is (`observer`), what the store is told (`membership`).
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Collection
from dataclasses import replace

from . import health, neighbours
from .component import Component
from .decision.others import IN_PRIMARY
from .endpoints import FRESH, Endpoints
from .first_process import LOOK_EVERY, FirstProcess
from .local_state import NO_UUID
from .membership import Membership
from .neighbours import Teller, Told
from .observer import Observer
from .server import Server, work
from .settings import Settings
from .sql import ServerStatus
from .store import Facts, Presence
from .transfer import Progress
from .words import Topics, log


class Reports:
    """Tells what this node is.

    Attributes:
        began: when the container's program did, monotonic seconds.
        served: the health check has been told that all is well.
        problem: what a person should know of this node.
        teller: answers other nodes.
    """

    def __init__(
        self,
        settings: Settings,
        membership: Membership,
        component: Component,
        observer: Observer,
        server: Server,
        first_process: FirstProcess,
        endpoints: Endpoints,
        topics: Topics,
        began: float,
    ) -> None:
        self._settings, self._topics = settings, topics
        self._membership, self._component, self._observer = membership, component, observer
        self._server, self._first_process, self._endpoints = server, first_process, endpoints
        self.began = began
        self.served = False
        self.problem = ""
        self.teller: Teller | None = None
        self._heard_at = float("-inf")  # when mariadbd has last answered

    def listen(
        self, address: str, departed: Callable[[str], None], silent: Callable[[], Collection[str]]
    ) -> None:
        """From now on other nodes are answered, and load balancers. Args: as for `Teller`."""
        try:
            endpoint = self._endpoints.answer
            self.teller = Teller(address, endpoint=endpoint, departed=departed, silent=silent)
            self._endpoints.start()
        except OSError as error:
            log(f"other nodes cannot ask this one when the store is away: port {neighbours.PORT}: {error}")

    # ---- the health check

    def unhealthy(self, text: str) -> None:
        self._write_health(False, text)

    def held(self, text: str) -> None:
        """Waits as a person has said: the engine is not to end the container for it."""
        self._write_health(True, text)

    def _write_health(self, healthy: bool, text: str) -> None:
        """Tells the health check. If the memory is full, that hears nothing: no reason to end a database."""
        self.served = self.served or healthy
        try:
            health.write(self._settings.run_dir, healthy, text)
        except OSError as error:
            self._topics.say("memory", f"{self._settings.run_dir} cannot be written: {error}")

    def _tell(self, state: str, detail: str, idle: float | None, alone: bool = False) -> str:
        """Tells the health check; returns the verdict for the log. `idle`, `alone` as in `health.Status`."""
        healthy, text = health.verdict(
            health.Status(
                state=state,
                detail=detail,
                uptime=time.monotonic() - self.began,
                start_period=self._settings.start_period,
                recorded=self._membership.recorded and self._component.confirmed,
                idle=idle,
                alone=alone,
                served=self.served,
            )
        )
        self._write_health(healthy, text)
        return f"{'healthy' if healthy else 'not healthy'}: {text if idle is None else detail}"

    def report(
        self,
        presence: Presence,
        detail: str,
        status: ServerStatus | None,
        progress: Progress | None,
        advance: health.Advance,
        facts: Facts | None,
    ) -> float:
        """Tells the health check, and the log what is new; seconds since the work under way last advanced."""
        # A transfer advances by its own word, one of write-sets alone by the seqno, the rest by its work.
        committed = status.committed if status is not None else -1
        idle = advance.idle((progress, committed, self._server.work()), time.monotonic())
        # Joined: it has its data, and applies what was written meanwhile, which may take as long as the copy.
        works = presence.state == "starting" or (status is not None and status.state == "Joined")
        alone = presence.state == "running" and facts is None
        text = self._tell(presence.state, detail, idle if works else None, alone)
        if self._observer.answered and progress is None:
            self._topics.say("health", text)
        return idle

    def attend(self, child: subprocess.Popen[bytes], what: str, meanwhile: Callable[[], object]) -> int:
        """Waits for a child that may take long; its exit code. What `meanwhile` or a stop raises ends it.

        The health check hears how long it takes, and whether it advances: mariadbd, if it is for that.
        """
        pid = self._server.pid if self._server.running else None
        began = time.monotonic()
        advance = health.Advance(began)

        def tell() -> None:
            now = time.monotonic()
            self._tell("starting", f"{what}, {now - began:.0f} s", advance.idle(work(pid or child.pid), now))
            meanwhile()

        return self._first_process.attend(child, LOOK_EVERY, tell)

    # ---- the other nodes, and a person

    def _goes_on(self) -> bool:
        """Whether load balancers may send clients to a mariadbd that has not answered here this time.

        The endpoints ask it themselves, more often. In so short a time it is in no other component.
        """
        recent = time.monotonic() - self._heard_at <= FRESH
        return self._endpoints.serving and self._component.confirmed and recent

    def departed(self, life: str) -> None:
        """What other nodes are told from now on of the mariadbd that has died, until `tell_others`."""
        self._endpoints.serving = False
        if self.teller is not None:
            self.teller.told = replace(self.teller.told, state="stopped", ready=False, departed=life)

    def tell_others(self, presence: Presence, epoch: str, heard: bool = True) -> None:
        """What other nodes are told when they ask, and `galera-node status`.

        Args:
            heard: mariadbd has answered, if there is one.
        """
        serves = presence.state == "synced" and self._component.confirmed and self._membership.recorded
        told = Told(self._settings.node, presence.uuid, epoch, presence.state, serves)
        self._endpoints.serving = serves or (not heard and self._goes_on())
        if heard:
            self._heard_at = time.monotonic()
        if self.teller is not None:
            self.teller.told = told
        has_data = presence.state != "empty" and presence.uuid != NO_UUID
        values = {
            "node": told.node,
            "epoch": epoch if has_data else None,
            "uuid": told.uuid if has_data else None,
            "seqno": self._observer.committed if presence.state in IN_PRIMARY else presence.seqno,
        }
        try:
            new = self._settings.run_dir / f"{health.SELF}.new"
            new.write_text(json.dumps(values))
            new.rename(self._settings.run_dir / health.SELF)
        except OSError as error:
            self._topics.say("memory", f"{self._settings.run_dir} cannot be written: {error}")
