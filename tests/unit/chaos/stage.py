"""A cluster that is made up, and everything around one run on it; its parts can be spoiled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaos import clients, copies, one_run
from chaos.client import body
from chaos.fault import Fault, Whom
from chaos.faults import FAULTS
from chaos.journal import Journal, Said
from chaos.judge import Copy, Move
from chaos.one_run import OneRun
from chaos.plan import Run
from chaos.results import Result
from chaos.site import Site
from harness.lab_cluster import HOSTS
from tests.unit.chaos.fake_site import FakeSite


class Cluster:
    """What all nodes hold, written by clients that are made up; `loses` spoils it before it is read."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def start(self, limit: float = 0) -> None:
        for host in HOSTS:
            for name in clients.WAYS:
                checker = f"{name}@{host}/1"
                self.journal.take(f'["try", "{checker}", 1]')
                self.journal.take(f'["ack", "{checker}", 1]')

    def wait_for(self, name: str, since: float, limit: float) -> bool:
        return True

    def stop(self) -> None:
        for host in HOSTS:
            for name in clients.WAYS:
                checker = f"{name}@{host}/1"
                self.journal.take(f'["try", "{checker}", 2]')
                self.journal.take(f'["ack", "{checker}", 2]')


def held(said: Said) -> Copy:
    rows = Counter({(name, n, body(name, n)): 1 for (name, n), told in said.acked.items() if not told})
    return Copy(rows, {("account@galera-1/1", 1): [Move(0, 0, 4)]}, {0: 4}, "u", "", "")


class Stage:
    """Everything around a run; its parts can be spoiled."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self.folder, self._patch = FakeSite(tmp_path), tmp_path, monkeypatch
        self.said: list[str] = []
        self.copies: Callable[[Said], dict[str, Copy]] = lambda said: dict.fromkeys(HOSTS, held(said))
        self.journal: Journal | None = None
        for name in ("CALM", "SETTLED", "APART", "COMPARED", "AGAIN"):
            monkeypatch.setattr(one_run, name, 0.0)
        cluster = type(self.site.cluster)
        monkeypatch.setattr(cluster, "wait_whole", lambda _self, _limit=0, _goes_on=None: HOSTS[1])
        monkeypatch.setattr(cluster, "status", lambda _self, _host: {"self": {"uuid": "u"}})
        monkeypatch.setattr(clients.Stack, "of", lambda _site: None)
        monkeypatch.setattr(one_run, "Clients", self._clients)
        monkeypatch.setattr(copies, "read", self._read)

    def _clients(self, _site: Site, journal: Journal, _stack: Any) -> Cluster:
        self.journal = journal
        journal.take('["try", "account@galera-1/1", 1]')
        journal.take('["ack", "account@galera-1/1", 1, 0, 0, 4]')
        return Cluster(journal)

    def _read(self, _site: Site) -> dict[str, Copy]:
        assert self.journal is not None
        return self.copies(self.journal.said)

    def fault(self, name: str, does: Any = None, undone: Any = None, **more: Any) -> str:
        """One that does nothing but what is given."""
        made = Fault(
            name,
            "a test",
            more.pop("whom", Whom.ANY),
            does or (lambda site, whom: site.sh(whom.host, f"do {name}")),
            undone or (lambda site, whom: site.sh(whom.host, f"undo {name}")),
            **{"holds": 0.0, **more},
        )
        self._patch.setitem(FAULTS, name, made)
        return name

    def run(self, *names: str, broken: str | None = None, deep: bool = True) -> Result:
        one = OneRun(self.site, Run(names, 1), 7, self.folder, self.said.append)
        return one.carry_out(broken, deep=deep)
