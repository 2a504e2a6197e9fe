"""A restore in a node's life: the real program, with mariadbd, its client, etcd and the loader played."""

from __future__ import annotations

import json
import shutil
import threading
import time
import types
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.images import test_galera_node_life
from tests.unit.images.test_galera_node_life import Site, U, stop

pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]
site = test_galera_node_life.site

NEW = "bbbbbbbb-0000-0000-0000-000000000002"
NOW = datetime(2026, 11, 30, 5, tzinfo=UTC)


class Restorer:
    """What `galera-node restore` does from beside, step by step, in a thread."""

    def __init__(self, site: Site) -> None:
        self.site, self.store = site, site._new_store()
        self.record, self.stores = site.module("restore.record"), site.module("store")
        self.failed: list[BaseException] = []
        self._thread: threading.Thread | None = None

    def facts(self) -> Any:
        return self.stores.parse(self.store.read())

    def take(self, commit: Any) -> None:
        assert self.store.commit(commit.expect, commit.puts, commit.deletes)

    def begin(self) -> None:
        wanted = self.record.Wanted("one", NEW, "a", "latest", "1-1-95", f"{U}.0", "base", "a test")
        entries = self.store.read()
        self.take(self.record.begin(entries, self.stores.parse(entries), wanted, 1, NOW))

    def until(self, probe: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 60
        while not probe():
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def load(self) -> None:
        """From nobody who runs to data in its place."""
        local_state, loading = self.site.module("local_state"), self.site.module("restore.loading")
        self.until(lambda: not self.record.runs(self.facts()), "nobody runs")
        assert (self.site.root / "end").read_text() == "in order\n"
        (self.site.root / "end").unlink()
        self.take(self.record.load(self.facts(), "a", NOW))
        read = local_state.read
        self.until(lambda: read(self.site.data).kind is local_state.Kind.EMPTY, "the data aside")
        self.until(lambda: self.facts().about("a").aside == "one", "the word of it")
        stage = self.site.data / local_state.UNPACKED / "data"
        stage.mkdir(parents=True)
        (stage / "ibdata1").write_text("restored")
        loading.put_in_place(self.site.data, stage, self.facts().restore)
        self.take(self.record.join(self.facts(), NOW))

    def beside(self, *steps: Callable[[], None]) -> None:
        """Takes steps while the node lives; a failure ends that."""

        def run() -> None:
            try:
                for step in steps:
                    step()
            except BaseException as error:
                self.failed.append(error)
                stop()

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def over(self) -> None:
        if self._thread is not None:
            self._thread.join(60)
        assert self.failed == []


@pytest.fixture
def restorer(site: Site) -> Restorer:
    site.has_data(7)
    (site.data / "ibdata1").write_text("before")
    site.cluster(seed="a")
    return Restorer(site)


def test_a_node_stops_holds_and_starts_the_restored_cluster(
    site: Site, restorer: Restorer, capsys: pytest.CaptureFixture[str]
) -> None:
    def begin() -> None:
        restorer.begin()
        restorer.beside(restorer.load)

    # It runs, is restored, and serves again as another cluster.
    site.database.on_look = {6: begin, 16: stop}
    assert site.lives(site.node()) == 0
    restorer.over()
    assert f"--wsrep-new-cluster --wsrep-start-position={NEW}:0" in site.arguments
    assert (site.data / "ibdata1").read_text() == "restored"
    assert (site.data / ".before-restore" / "data" / "ibdata1").read_text() == "before"
    record = site.record()
    assert (record["uuid"], record["phase"], record["seed"]) == (NEW, "formed", "a")
    assert record["epoch"].startswith("1-")
    assert json.loads(site.etcd.held()["nodes/a"])["uuid"] == NEW
    said = capsys.readouterr().err
    assert "ending mariadbd: the cluster is being restored to latest" in said
    assert "the data of before is kept in" in said
    assert "the cluster is formed: a are Synced" in said


def test_nothing_is_loaded_over_data_of_before_that_is_half_aside(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that died while it put the data aside: the next one goes on with that."""
    aside, loading = site.module("restore.aside"), site.module("restore.loading")
    site.has_data(7)
    folder = site.data / site.module("local_state").ASIDE
    folder.mkdir()
    (folder / aside.RESTORE).write_text("one\n")
    made = loading.Loading.__new__(loading.Loading)
    made._settings = types.SimpleNamespace(data_dir=site.data, run_dir=site.root / "run")
    loaded: list[object] = []
    monkeypatch.setattr(made, "_load", lambda *words: loaded.append(words))
    monkeypatch.setattr(loading, "LOCKED", 0.0)
    for step in (None, aside.KEEPING):
        if step is not None:
            (folder / aside.STEP).write_text(step)
        with pytest.raises(site.module("restore.record").NotNow, match="not wholly aside yet"):
            made._alone("plan", "restore", "key")
    (folder / aside.STEP).write_text(aside.KEPT)
    made._alone("plan", "restore", "key")
    assert loaded == [("plan", "restore", "key")]


def test_the_way_back_brings_the_data_and_the_records_of_before(site: Site, restorer: Restorer) -> None:
    def begin() -> None:
        restorer.begin()
        restorer.beside(restorer.load)

    def undo() -> None:
        restorer.over()
        restorer.take(restorer.record.undo(restorer.facts(), NOW))

    site.database.on_look = {6: begin, 12: undo, 22: stop}
    assert site.lives(site.node()) == 0
    assert (site.data / "ibdata1").read_text() == "before"
    assert not (site.data / ".before-restore").exists()
    assert f"--wsrep-start-position={U}:7" in site.arguments
    assert (site.record()["uuid"], site.record().get("epoch", "")) == (U, "")
    assert json.loads(site.etcd.held()["restore"])["phase"] == "undone"


def test_data_of_before_that_a_person_has_removed_is_not_told_to_be_kept(
    site: Site, restorer: Restorer
) -> None:
    """By hand, for its room: no way back may begin by what was there when mariadbd started."""
    told: list[str] = []

    def begin() -> None:
        restorer.begin()
        restorer.beside(restorer.load)

    def remove() -> None:
        restorer.over()
        told.append(restorer.facts().about("a").aside)
        shutil.rmtree(site.data / ".before-restore")

    def end() -> None:
        told.append(restorer.facts().about("a").aside)
        stop()

    site.database.on_look = {6: begin, 14: remove, 18: end}
    assert site.lives(site.node()) == 0
    assert told == ["one", ""]


def test_nor_does_a_node_that_waits_tell_so(site: Site) -> None:
    """It has looked at its directory once, and may wait for hours."""
    own_data, local_state = site.module("own_data"), site.module("local_state")
    made = own_data.OwnData.__new__(own_data.OwnData)
    made._settings, made._reports = (
        types.SimpleNamespace(data_dir=site.data),
        types.SimpleNamespace(problem=""),
    )
    made._encryption = types.SimpleNamespace(shown=lambda details: details)
    folder = site.data / local_state.ASIDE
    folder.mkdir()
    (folder / "restore").write_text("one\n")
    local = local_state.read(site.data)
    assert made.details(local).aside == "one"
    shutil.rmtree(folder)
    assert made.details(local).aside == ""


def test_data_of_before_goes_once_a_person_is_content(site: Site, restorer: Restorer) -> None:
    def begin() -> None:
        restorer.begin()
        restorer.beside(restorer.load)

    def done() -> None:
        restorer.over()
        restorer.until(lambda: site.record()["phase"] == "formed", "formed")
        restorer.take(restorer.record.done(restorer.facts(), NOW))

    site.database.on_look = {6: begin, 14: done, 18: stop}
    assert site.lives(site.node()) == 0
    assert (site.data / "ibdata1").read_text() == "restored"
    assert not (site.data / ".before-restore").exists()
    assert json.loads(site.etcd.held()["restore"])["phase"] == "done"


def test_a_container_that_starts_while_the_archive_is_loaded_starts_nothing(
    site: Site, restorer: Restorer, capsys: pytest.CaptureFixture[str]
) -> None:
    site.others("stopped", U, names="a")  # as its container before
    restorer.begin()
    health = site.module("health")
    seen: list[tuple[int, str]] = []

    def look() -> None:
        restorer.until(lambda: "present/a" in site.etcd.held(), "the node shows itself")
        restorer.until(lambda: health.check(site.run)[1].startswith("restore:"), "it holds")
        seen.append(health.check(site.run))
        stop()

    restorer.beside(look)
    assert site.lives(site.node()) == 0
    restorer.over()
    # The engine must not end it: what loads the archive is in this container.
    assert seen[0][0] == 0
    assert not (site.root / "arguments").exists()
    assert (site.data / "ibdata1").read_text() == "before"
    assert "being restored to latest" in capsys.readouterr().err
