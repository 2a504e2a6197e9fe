"""What a node is made of, put together once in the life of its container.

Knows no order of events: that is `supervisor` (the loop), `own_data`, `attempt`, `watch`, `orderly_stop`.
"""

from __future__ import annotations

import time

from . import network
from .archive import plan
from .archiving import Archiving
from .component import Component
from .config import NodeConfig, OptionFile, tune
from .departure import Departures
from .encryption import Encryption
from .endpoints import SOON, Endpoints
from .failed_starts import FailedStarts
from .first_process import FirstProcess
from .formation import Formation
from .membership import Membership
from .observer import Observer
from .one_by_one import OneByOne
from .reports import Reports
from .server import Server
from .settings import Settings
from .silence import Silence
from .sql import Sql
from .store import Store
from .words import Topics


class Parts:
    """The parts, each of which has its say in its own module."""

    def __init__(self, settings: Settings, store: Store, names: network.Names, endpoints: Endpoints) -> None:
        began = time.monotonic()
        self.settings, self.names, self.endpoints = settings, names, endpoints
        self.encryption = Encryption(settings)
        self.address = network.own_address(settings.subnet)
        self.tuning = tune(settings.data_dir)
        backups = plan.read(settings.cluster) is not None
        self.archiving = Archiving(backups)
        self.topics = Topics()
        self.server = Server(settings.run_dir / "my.cnf")
        self.failed_starts = FailedStarts(settings.data_dir)
        self.option_file = OptionFile(
            self.server.defaults,
            NodeConfig(settings.node, settings.cluster, self.address, tuning=self.tuning, logs=backups),
        )
        self.sql = Sql(settings.socket)
        self.first_process = FirstProcess(self.server)
        self.membership = Membership(settings, store, self.topics)
        self.one_by_one = OneByOne(settings.node, self.encryption, self.membership, self.topics)
        self.component = Component(settings, self.address, names, self.membership, self.sql, self.topics)
        self.observer = Observer(self.sql, self.address)
        self.reports = Reports(
            settings,
            self.membership,
            self.component,
            self.observer,
            self.server,
            self.first_process,
            endpoints,
            self.topics,
            began,
        )
        self.departures = Departures(settings, names, endpoints.wake)
        own = Sql(settings.socket, timeout=SOON, patience=SOON)
        self.silence = Silence(settings.node, own, self.departures)
        self.formation = Formation(settings, self.membership, self.sql, self.reports.attend, self.topics)
