"""The node's life: gather facts, decide, start mariadbd, watch it, stop in order.

Owns the loop and how the container's program ends. Leaves to others: what a node is made of (`parts`), what
each turn of the loop does (`attempt`), mariadbd while it runs (`watch`), its end (`orderly_stop`).
"""

from __future__ import annotations

import traceback

from . import data_version, local_state, network, transfer
from .attempt import Attempt
from .config import LEAVES_IT_TO_GALERA
from .endpoints import Endpoints
from .failed_starts import REMEDY
from .first_process import LOOK_EVERY, Renew, StartAnew, Stop
from .orderly_stop import OrderlyStop
from .own_data import OwnData
from .parts import Parts
from .restore import aside
from .restore import node as restored
from .settings import Settings
from .store import Store
from .watch import FAILURES, Watch
from .words import log

REFUSED = 5.0  # seconds before the engine may start the same container again


class Unfit(Exception):
    """The data is not for this image's server; the message says why, and the remedy."""


class Node:
    """One node of the cluster; `run` returns when it has been told to stop."""

    def __init__(self, settings: Settings, store: Store, names: network.Names, endpoints: Endpoints) -> None:
        self.parts = Parts(settings, store, names, endpoints)
        self.stop = OrderlyStop(self.parts)
        self.watch = Watch(self.parts, self.stop)
        self.own_data = OwnData(self.parts)
        self.attempt = Attempt(self.parts, self.own_data, self.watch)

    def run(self) -> int:
        """Runs until SIGTERM or the time for a new container (exit code 0), or until it can't go on (1)."""
        try:
            self.prepare()
            while self.watch.failures < FAILURES:
                self.attempt.run()
            log(f"mariadbd has failed {FAILURES} times in a row; ending so that the engine shows it")
            if problem := self.parts.failed_starts.problem:
                log(f"{problem}. {REMEDY}")
            self.parts.membership.leave(None)
            return 1
        except Unfit as error:
            log(f"refusing to start: {error}")
            self.parts.reports.unhealthy(f"refusing to start: {error}")
            self.parts.first_process.nap(REFUSED)
            return 1
        except Renew:
            log("ending: the engine starts this node anew, so that it sends no clients here while data comes")
            self.parts.membership.leave(None)
            return 0
        except (Stop, StartAnew):
            self.stop.shut_down()
            return 0
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            log(f"unexpected {type(error).__name__}: {error} ({where.filename}, line {where.lineno})")
            self.stop.end_in_order()
            return 1

    def prepare(self) -> None:
        """What a container does once."""
        parts, settings = self.parts, self.parts.settings
        settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        transfer.end(settings.run_dir)
        parts.first_process.take_signals()
        log(f"node {settings.node} of {settings.cluster} at {parts.address}, {settings.size} nodes expected")
        log(parts.tuning.words)
        parts.reports.unhealthy("starting")
        while local_state.own(settings.data_dir) is None:
            # A predecessor that is slow to stop: two nodes on one directory would destroy it.
            parts.topics.say("volume", "waiting: another container uses this volume")
            parts.reports.unhealthy("waiting: another container uses this volume")
            parts.first_process.pause(LOOK_EVERY)
        parts.topics.end("volume")
        aside.go_on(restored.place(settings.data_dir))
        data = data_version.of_data(settings.data_dir)
        if why := data_version.refusal(data, settings.version, settings.upgrade_to):
            # A task that fails stops the rolling change here; one that waits would do so after an hour.
            raise Unfit(why)
        parts.reports.listen(parts.address, parts.departures.hear, parts.silence.silent)
        if LEAVES_IT_TO_GALERA not in parts.tuning.provider:
            parts.silence.start()
