"""A node's life from an empty volume to its end: the real program, with mariadbd, its client and etcd played.

What real servers do is in tests/images. The database's client library is the image's: a stand-in of its name
answers here what a server would.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from tests.unit.images.fake_etcd import FakeEtcd
from tests.unit.images.no_balancer import NO_BALANCER

# The store keeps one connection for as long as its process lives, and the node its volume.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

PACKAGE = "images.galera.galera_node"
U = "aaaaaaaa-0000-0000-0000-000000000001"
DESYNCED = "Donor/Desynced"
OLD_HASH = "*" + "0" * 40
MARIADBD = """#!/bin/sh
echo "$@" > {root}/arguments
trap 'echo in order > {root}/end; exit 0' TERM
while :; do sleep 0.02; done
"""
CLIENT = """#!/bin/sh
cat >> {root}/ran.sql
cat {root}/client-says >&2
exit $(cat {root}/client-code)
"""


class DatabaseError(Exception):
    """As the library's."""


class Database:
    """What mariadbd answers.

    Attributes:
        status: of wsrep; its UUID is the data directory's.
        looks: how often it was asked for. on_look: called with that number first.
        members: of its component. stored, local: accounts, and tables that are not replicated.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.statements: list[tuple[str, tuple[str, ...]]] = []
        self.looks, self.desync = 0, 0
        self.lock: dict[str, int] = {}  # by a word of the question: statements that run, the error of others
        self.on_look: dict[int, Callable[[], object]] = {}
        self.members = ["a"]
        self.stored: list[tuple[str, str, str]] = []
        self.local: list[tuple[str, str, str]] = []
        self.status = {
            "wsrep_cluster_size": "1",
            "wsrep_cluster_status": "Primary",
            "wsrep_connected": "ON",
            "wsrep_last_committed": "30",
            "wsrep_local_state_comment": "Synced",
            "wsrep_ready": "ON",
        }

    def library(self) -> types.ModuleType:
        made = types.ModuleType("pymysql")
        made.Error = DatabaseError  # type: ignore[attr-defined]
        made.connect = lambda **_: self  # type: ignore[attr-defined]
        return made

    def cursor(self) -> Database:
        return self

    def close(self) -> None:
        """Nothing."""

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing."""

    def execute(self, statement: str, parameters: tuple[str, ...]) -> None:
        self.statements.append((statement, parameters))
        for word in self.lock.keys() - {"PROCESSLIST"}:
            if word in statement:
                raise DatabaseError(self.lock[word])

    def fetchall(self) -> list[tuple[Any, ...]]:
        statement, _ = self.statements[-1]
        if statement.startswith("SHOW GLOBAL STATUS WHERE"):
            self.looks += 1
            self.on_look.get(self.looks, lambda: None)()
            return [*self.status.items(), ("wsrep_cluster_state_uuid", self._uuid())]
        if "wsrep_cluster_members" in statement:
            return [(self._uuid(), 20 + len(self.members), name) for name in self.members]
        if "wsrep_desync" in statement:
            return [(self.desync,)]
        if "PROCESSLIST" in statement:
            return [(self.lock.get("PROCESSLIST", 0),)]
        if "global_priv" in statement:
            return self.stored
        return self.local if "information_schema.TABLES" in statement else []

    def _uuid(self) -> str:
        text = (self._data_dir / "grastate.dat").read_text()
        return next(line.split()[1] for line in text.splitlines() if line.startswith("uuid:"))


class Site:
    """One host: its folders, the node's program loaded anew, and what it talks to."""

    def __init__(self, root: Path, etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.etcd, self._patch = root, etcd, monkeypatch
        self.data, self.run = root / "data", root / "run"
        self.data.mkdir()
        self.database = Database(self.data)
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "pymysql", self.database.library())
        self.supervisor = self.module("supervisor")
        self._programs()
        process = self.module("first_process").FirstProcess
        pause, nap = process.pause, process.nap
        monkeypatch.setattr(process, "pause", lambda own, seconds: pause(own, min(seconds, 0.01)))
        monkeypatch.setattr(process, "nap", lambda own, seconds: nap(own, min(seconds, 0.01)))
        monkeypatch.setattr(process, "rest", lambda own, seconds: pause(own, 0.01))
        # On any free port: nobody asks.
        self.set("Teller", functools.partial(self.module("neighbours").Teller, port=0))
        self.live: list[str] = []
        self.set("accepting", lambda *_: list(self.live))
        self._stores: list[Any] = []
        self.store = self._new_store()  # another node's
        self.store.open_session(45)

    def _new_store(self) -> Any:
        wire = self.module("wire").Wire("etcd", "127.0.0.1", self.etcd.port, self.module("network").Names(60))
        self._stores.append(self.module("etcd").EtcdStore(wire, "galera"))
        return self._stores[-1]

    def close(self) -> None:
        """Hang up on etcd, as the end of a node's process does."""
        for store in self._stores:
            store._lease_closed.set()
            store._wire.drop()

    def module(self, name: str) -> Any:
        return importlib.import_module(f"{PACKAGE}.{name}")

    def set(self, name: str, value: object) -> None:
        """A limit or a function of the program, wherever it is used."""
        for each, module in list(sys.modules.items()):
            if each.startswith(PACKAGE) and hasattr(module, name):
                self._patch.setattr(module, name, value)

    def _programs(self) -> None:
        for name, text in (("mariadbd", MARIADBD), ("client", CLIENT)):
            (self.root / name).write_text(text.format(root=self.root))
            (self.root / name).chmod(0o755)
        self.set("MARIADBD", str(self.root / "mariadbd"))
        self.set("CLIENT", str(self.root / "client"))
        (self.root / "client-says").write_text("")
        (self.root / "client-code").write_text("0")
        (self.root / "initdb").mkdir()
        (self.root / "initdb" / "01.sql").write_text("CREATE TABLE t (i INT);\n")
        (self.root / "seed").mkdir()
        (self.root / "seed" / "ibdata1").write_text("system tables")
        self.module("seed_data").pack(self.root / "seed", self.root / "seed.tar.gz")
        settings = self.module("settings")
        for name in settings.SECRETS:
            (self.root / name).write_text("secret of " + name)

    def node(self, size: int = 1, start_period: float = 0.0) -> Any:
        """The node, ready to run. In the start period one that starts does not count as healthy."""
        settings = self.module("settings").Settings(
            node="a",
            cluster="galera",
            size=size,
            peers="tasks.galera",
            store=self.etcd.url,
            subnet=IPv4Network("127.0.0.0/8"),
            database="app",
            data_dir=self.data,
            run_dir=self.run,
            secrets=self.root,
            initdb=self.root / "initdb",
            bundle=self.root / "none",
            seed_archive=self.root / "seed.tar.gz",
            start_period=start_period,
            stop_grace=30.0,
        )
        return self.supervisor.Node(
            settings, self._new_store(), self.module("network").Names(0.01, lambda _: []), NO_BALANCER
        )

    def lives(self, node: Any) -> int:
        """Runs the node to its end; its exit code."""
        try:
            code: int = node.run()
            return code
        finally:
            node.parts.server.kill()
            if node.parts.reports.teller is not None:
                node.parts.reports.teller.close()

    def others(self, state: str, uuid: str = "", names: str = "bc") -> None:
        """Other nodes show themselves to be this."""
        store = self.module("store")
        uuid = uuid or self.module("local_state").NO_UUID
        puts = {
            f"present/{name}": store.Put(
                store.dumps(store.Presence(state, uuid, 9, f"127.0.0.{ord(name)}")), bound=True
            )
            for name in names
        }
        assert self.store.commit({}, puts)

    def cluster(self, uuid: str = U, phase: str = "formed", seed: str = "b", epoch: str = "") -> None:
        """There is this cluster."""
        store = self.module("store")
        assert self.store.commit(
            {}, {"cluster": store.Put(store.dumps(store.Cluster(uuid, phase, seed, epoch)))}
        )

    def has_data(self, seqno: int = 7) -> None:
        (self.data / "ibdata1").touch()
        self.module("local_state").write_grastate(self.data, U, seqno, False)

    @property
    def arguments(self) -> str:
        """What mariadbd was started with."""
        return (self.root / "arguments").read_text()

    @property
    def asked(self) -> str:
        """All statements, one a line."""
        return "\n".join(f"{text} {values}" for text, values in self.database.statements)

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.etcd.held()["cluster"])
        return found


def stop() -> None:
    """As the engine does it."""
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    with FakeEtcd() as etcd, contextlib.closing(Site(tmp_path, etcd, monkeypatch)) as made:
        yield made
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]
    signal.set_wakeup_fd(-1)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_an_empty_node_forms_a_cluster_and_stops_in_order(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.database.on_look = {8: stop}
    site.database.stored = [("root", "localhost", json.dumps({"authentication_string": OLD_HASH}))]
    site.database.local = [("app", "old", "MyISAM")]
    assert site.lives(site.node()) == 0
    assert "--wsrep-new-cluster --wsrep-start-position=" in site.arguments
    assert (site.data / "ibdata1").read_text() == "system tables"
    assert (site.root / "ran.sql").read_text() == "CREATE TABLE t (i INT);\n"
    statements = [text for text, _ in site.database.statements]
    made = next(n for n, text in enumerate(statements) if text.startswith("CREATE USER"))
    let_in = next(n for n, text in enumerate(statements) if text.endswith("ACCOUNT UNLOCK"))
    assert made < let_in
    assert "secret of" not in site.asked
    record = site.record()
    assert (record["phase"], record["seed"]) == ("formed", "a")
    assert json.loads(site.etcd.held()["nodes/a"])["uuid"] == record["uuid"]
    assert not {"present/a", "bootstrap"} & site.etcd.held().keys()
    assert (site.root / "end").read_text() == "in order\n"
    said = capsys.readouterr().err
    assert "is open: accounts and initial SQL are in, joiners are welcome" in said
    assert "not replicated, the rows stay on this node and are lost with the next full copy: app.old" in said
    assert "new passwords for root" in said
    assert f"stopped at {record['uuid']}:0" in said


def test_no_question_of_the_program_waits_until_all_is_applied(site: Site) -> None:
    """`galera.config: {wsrep_sync_wait: 1}` has clients do so: behind one long change all would seem dead."""
    asked = site.module("sql").Sql(site.root / "socket")
    for _ in range(2):
        asked.run("SELECT 1")
        asked.run("SELECT 2")
        asked.close()
    sets = "wsrep_sync_wait = 0, wait_timeout = 28800, max_statement_time = 0"
    # Nor does one see half of what is being written, as the members of a new component.
    first = (f"SET SESSION {sets}, tx_isolation = 'REPEATABLE-READ'", ())
    assert site.database.statements == [first, ("SELECT 1", ()), ("SELECT 2", ())] * 2


def test_the_first_of_three_counts_for_all_until_the_others_are_synced(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.others("empty")

    def come() -> None:
        assert site.record()["phase"] == "open"
        assert "pc.weight=1'" not in site.asked
        site.database.members = ["a", "b", "c"]
        site.others("synced", site.record()["uuid"])

    site.database.on_look = {6: come, 10: stop}
    assert site.lives(site.node(size=3)) == 0
    assert "pc.weight=3" in (site.run / "my.cnf").read_text()
    assert "pc.weight=1'" in site.asked
    assert site.record()["phase"] == "formed"
    assert json.loads(site.etcd.held()["view"])["members"] == ["a", "b", "c"]
    said = capsys.readouterr().err
    assert "this node counts 3 votes until 3 nodes are Synced" in said
    assert "the cluster is formed: a, b, c are Synced" in said


def test_initial_sql_that_fails_opens_no_cluster_and_its_statement_is_not_logged(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.set("FAILURES", 1)
    (site.root / "client-code").write_text("1")
    (site.root / "client-says").write_text(
        "--------------\nINSERT INTO t VALUES ('private')\n--------------\n"
        "ERROR 1146 (42S02) at line 1: Table 'app.u' doesn't exist\n"
    )
    assert site.lives(site.node()) == 1
    said = capsys.readouterr().err
    assert "the initial SQL fails, and no client was served: 01.sql: ERROR 1146" in said
    assert "private" not in said
    assert site.record()["phase"] == "forming"
    assert "bootstrap" not in site.etcd.held()  # whoever can may try
    assert "ACCOUNT UNLOCK" not in site.asked
    assert "the initial SQL fails" in site.module("health").check(site.run)[1]


def test_a_formation_that_failed_is_begun_anew_from_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.root / "client-code").write_text("1")

    def corrected() -> None:
        (site.root / "client-code").write_text("0")

    site.database.on_look = {2: corrected, 8: stop}
    failed: list[str] = []

    def fails() -> None:
        failed.append(site.record()["uuid"])

    site.database.on_look[1] = fails
    assert site.lives(site.node()) == 0
    assert site.record()["phase"] == "formed"
    assert site.record()["uuid"] != failed[0]
    assert f"aborted/{failed[0]}" in site.etcd.held()
    assert "mariadbd has ended with -9; starting over (1 of 5)" in capsys.readouterr().err


def test_a_node_whose_right_is_lost_meanwhile_does_not_open_the_cluster(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.set("FAILURES", 1)
    site.database.on_look = {1: site.etcd.expire}
    site.set("RENEW_EVERY", 0.0)
    assert site.lives(site.node()) == 1
    assert site.record()["phase"] == "forming"
    assert "the right to bootstrap is lost" in capsys.readouterr().err
    assert "CREATE USER" not in site.asked


def test_after_an_outage_the_node_restarts_the_cluster_from_its_data(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.has_data()
    site.cluster(seed="a")
    put = site.module("store").Put

    def spoken() -> None:  # words for a cluster that does not run
        site.store.commit({}, {"chosen": put("b"), "forgotten/z": put("")})

    site.database.on_look = {3: spoken, 8: stop}
    assert site.lives(site.node()) == 0
    assert f"--wsrep-new-cluster --wsrep-start-position={U}:7" in site.arguments
    assert "CREATE USER" not in site.asked
    assert not [key for key in site.etcd.held() if key.startswith(("chosen", "forgotten"))]
    assert "bootstrapping" in capsys.readouterr().err


def test_a_store_that_has_lost_its_data_is_told_of_the_cluster_that_runs(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.has_data()
    site.cluster(seed="a")
    site.database.on_look = {4: lambda: site.store.commit({}, {}, ("cluster",)), 8: stop}
    assert site.lives(site.node()) == 0
    assert (site.record()["uuid"], site.record()["phase"]) == (U, "formed")
    assert f"the store had no record of the cluster: entered {U} anew" in capsys.readouterr().err


@pytest.fixture
def joins(site: Site) -> Site:
    """A host whose node has the data of a cluster of three that runs."""
    site.has_data()
    site.cluster()
    site.others("synced", U)
    site.live = ["127.0.0.98", "127.0.0.99"]
    site.database.members = ["a", "b", "c"]
    site.database.status["wsrep_cluster_size"] = "3"
    return site


def test_a_node_with_data_joins_from_its_position_and_shows_where_it_is(joins: Site) -> None:
    ready: list[bool] = []
    node = joins.node(size=3)
    joins.database.on_look = {6: lambda: ready.append(node.parts.reports.teller.told.ready), 7: stop}
    assert joins.lives(node) == 0
    assert joins.arguments.endswith(f"--wsrep-start-position={U}:7\n")
    assert "--wsrep-new-cluster" not in joins.arguments
    assert "gcomm://127.0.0.98,127.0.0.99" in (joins.run / "my.cnf").read_text()
    assert "nodes/a" in joins.etcd.held()
    assert ready == [True]


def test_a_mariadbd_that_dies_is_told_of_at_once_by_the_life_that_it_had(joins: Site) -> None:
    joins.set("FAILURES", 1)
    joins.database.status["wsrep_gcomm_uuid"] = "a-life"
    node, told = joins.node(size=3), list[Any]()
    node.parts.departures.tell = lambda address: told.append((address, node.parts.reports.teller.told))
    joins.database.on_look = {4: node.parts.server.kill}
    assert joins.lives(node) == 1
    [(address, said)] = told
    assert address == node.parts.address
    assert (said.node, said.departed, said.state, said.ready) == ("a", "a-life", "stopped", False)


def test_of_one_that_ends_in_order_nobody_is_told(joins: Site) -> None:
    joins.database.status["wsrep_gcomm_uuid"] = "a-life"
    node, told = joins.node(size=3), list[str]()
    node.parts.departures.tell = told.append
    joins.database.on_look = {4: stop}
    assert joins.lives(node) == 0
    assert told == []


def test_a_node_that_has_left_its_group_starts_over(joins: Site, capsys: pytest.CaptureFixture[str]) -> None:
    joins.set("FAILURES", 1)
    joins.set("ALONE", 0.0)
    joins.database.status |= {"wsrep_connected": "OFF", "wsrep_cluster_status": "Disconnected"}
    assert joins.lives(joins.node(size=3)) == 1
    said = capsys.readouterr().err
    assert "mariadbd has left its group" in said
    assert "mariadbd has failed 1 times in a row; ending so that the engine shows it" in said
    assert (joins.root / "end").exists()


def test_a_node_does_not_go_on_in_a_component_of_another_epoch(
    joins: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    joins.set("FAILURES", 1)
    node, serving = joins.node(size=3), list[bool]()
    end = node.parts.server.stop

    def ended() -> None:
        serving.append(node.parts.endpoints.serving)
        end()

    node.parts.server.stop = ended
    joins.database.on_look = {5: lambda: joins.cluster(epoch="2-ab")}
    assert joins.lives(node) == 1
    assert serving == [False]  # at once, however long it takes to stop
    assert "what it runs in is not the cluster's present epoch" in capsys.readouterr().err
    assert (joins.root / "end").exists()


def test_a_node_outside_the_primary_component_makes_way_and_gives_up_its_view(
    joins: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    joins.set("gives_up", lambda *_: True)
    (joins.data / "gvwstate.dat").touch()
    joins.database.status |= {"wsrep_cluster_status": "non-Primary", "wsrep_ready": "OFF"}

    def back() -> None:
        joins.database.status |= {"wsrep_cluster_status": "Primary", "wsrep_ready": "ON"}

    joins.database.on_look = {2: back, 6: stop}
    node = joins.node(size=3)
    assert joins.lives(node) == 0
    assert node.watch.failures == 0  # that was no failure
    assert not (joins.data / "gvwstate.dat").exists()
    assert "stopping, so that the most advanced node can restart the cluster" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("desync", "lock", "serves"),
    [
        (0, {"PROCESSLIST": 1}, False),
        (0, {"DELETE": 1205}, False),
        (0, {"BACKUP STAGE START": 1205}, False),
        (1, {}, True),
    ],
    ids=["a statement", "a lock", "a backup", "somebody's setting"],
)
def test_a_node_whose_tables_are_all_locked_does_not_serve(
    joins: Site, desync: int, lock: dict[str, int], serves: bool
) -> None:
    joins.set("FOR_NOBODY", 0.0)

    def take() -> None:
        joins.database.status["wsrep_local_state_comment"] = "Donor/Desynced"
        joins.database.desync, joins.database.lock = desync, lock

    ready: list[bool] = []
    node = joins.node(size=3)
    joins.database.on_look = {
        6: take,
        9: lambda: ready.append(node.parts.reports.teller.told.ready),
        10: stop,
    }
    assert joins.lives(node) == 0
    assert ready == [serves]


def test_a_donor_that_galera_has_lost_count_of_starts_over(
    joins: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    joins.set("FOR_NOBODY", 0.0)

    def lose() -> None:
        joins.database.status["wsrep_local_state_comment"] = "Donor/Desynced"

    joins.database.on_look = {6: lose}
    assert joins.lives(joins.node(size=3)) == 0  # served, it ends its container: the engine starts a new one
    said = capsys.readouterr().err
    assert said.count("Galera has not noticed that this donor is done, and never will") == 1
    assert "mariadbd has ended with 0" in said
    assert ("BACKUP STAGE END", ()) in joins.database.statements


def test_a_donor_that_starts_over_sends_its_clients_elsewhere_first(
    joins: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    joins.set("FOR_NOBODY", 0.0)
    node, order = joins.node(size=3), list[tuple[str, bool]]()
    for word in ("drain", "stay"):
        told = functools.partial(lambda word: order.append((word, node.parts.server.running)), word)
        monkeypatch.setattr(NO_BALANCER, word, told)
    joins.database.on_look = {6: lambda: joins.database.status.update(wsrep_local_state_comment=DESYNCED)}
    assert joins.lives(node) == 0
    assert order == [("drain", True), ("stay", False)]


@pytest.mark.parametrize(("fresh", "serves"), [(60.0, True), (-1.0, False)], ids=["once", "for long"])
def test_a_look_without_an_answer_takes_nobody_out_of_the_load_balancers(
    joins: Site, fresh: float, serves: bool
) -> None:
    """They ask more often themselves. This one may have been told that there are too many connections."""
    joins.set("FRESH", fresh)
    node, serving = joins.node(size=3), list[bool]()

    def fail() -> None:
        raise DatabaseError(1040, "Too many connections")

    def note() -> None:
        serving.append(node.parts.endpoints.serving)

    joins.database.on_look = {6: note, 7: fail, 8: note, 9: stop}
    assert joins.lives(node) == 0
    assert serving == [True, serves]


def test_a_volume_of_something_else_is_left_alone(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.data / "holiday.jpg").touch()
    node = site.node()
    look = node.parts.membership.look
    looks: list[object] = []

    def looked(*words: object) -> object:
        looks.append(words)
        if len(looks) == 3:
            stop()
        return look(*words)

    node.parts.membership.look = looked
    assert site.lives(node) == 0
    assert [entry.name for entry in site.data.iterdir() if not entry.name.startswith(".")] == ["holiday.jpg"]
    assert not (site.root / "arguments").exists()
    assert capsys.readouterr().err.count("refusing to start: the volume holds files") == 1


def test_the_command_says_what_is_wrong_with_its_settings(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = site.module("cli")
    monkeypatch.delenv("CLUSTER_SIZE", raising=False)
    assert cli.main(["run"]) == 2
    assert "CLUSTER_SIZE is not set. Set it in the service's environment." in capsys.readouterr().err
