"""How mariadbd, and with it the node, is stopped: in order, with the last words to the store.

Leaves to others: when that is (`supervisor`, `watch`), the signals themselves (`server`).
"""

from __future__ import annotations

import time
from contextlib import suppress

from . import local_state
from .first_process import LOOK_EVERY
from .local_state import Kind
from .parts import Parts
from .sql import SqlError
from .store import Position
from .words import log

UNANSWERED = 10.0  # seconds that a mariadbd which has never answered is given to stop in order
LAST_WORDS = 5.0  # seconds before the end of the stop's grace in which the store hears that this node goes


class OrderlyStop:
    """Ends what runs, and says where it ended."""

    def __init__(self, parts: Parts) -> None:
        self._settings, self._sql = parts.settings, parts.sql
        self._server, self._first_process = parts.server, parts.first_process
        self._membership, self._component = parts.membership, parts.component
        self._observer, self._reports, self._endpoints = parts.observer, parts.reports, parts.endpoints
        self._archiving = parts.archiving

    def shut_down(self) -> None:
        """Stops mariadbd in order, once clients are sent elsewhere; publishes where it ended."""
        self._archiving.stop()
        self._endpoints.drain()
        self._reports.unhealthy("stopping")
        if self._component.confirmed and self._server.running:
            # Who is here to the last is whom the next start waits for.
            with suppress(SqlError):
                self._component.look(self._sql.status(), None)
        self.end_server()
        state = local_state.read(self._settings.data_dir)
        clean = state.kind is Kind.DATA and state.seqno >= 0
        if clean:
            log(f"stopped at {state.uuid}:{state.seqno}")
        self._membership.leave(Position(state.uuid, state.seqno) if clean else None)

    def start_over(self) -> None:
        """Stops a mariadbd that may be serving, once clients are sent elsewhere; another one follows."""
        self._endpoints.drain()
        self.end_server()
        self._endpoints.stay()

    def end_server(self) -> None:
        """Stops mariadbd in order. Kills one that has never answered: it hears no signal.

        That is one that waits for its group, receives a copy (which is marked as unfinished), or opens its
        tables (InnoDB recovers them as after any crash).
        """
        self._sql.close()
        if not self._server.running:
            return
        # It may not belong to the cluster any more: nobody is sent here while it takes its time.
        self._endpoints.serving = False
        log("stopping mariadbd")
        self._server.stop()
        began = time.monotonic()
        deadline, warned = began + UNANSWERED, False
        while self._server.running:
            if not warned and time.monotonic() - began > self._settings.stop_grace - LAST_WORDS:
                warned = True
                log(
                    f"mariadbd still writes what it holds in memory; the engine kills a container that stops "
                    f"{self._settings.stop_grace:.0f} s after it was told to. Nothing is lost by that, but "
                    "the next start has to recover. Remedy: a longer galera.stopGrace"
                )
                self._membership.leave(None)
            if not self._observer.answered and time.monotonic() > deadline:
                log("mariadbd has not answered since its start and does not stop: killing it")
                self._server.kill()
            self._first_process.nap(LOOK_EVERY)

    def end_in_order(self) -> None:
        """Stops mariadbd although something is badly wrong: this process's end would be its sudden death."""
        with suppress(Exception):
            self.shut_down()
        deadline = time.monotonic() + self._settings.stop_grace
        self._server.stop()
        while self._server.running and time.monotonic() < deadline:
            time.sleep(0.1)
