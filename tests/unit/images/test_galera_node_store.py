"""A node in the store: what it writes there and in which order, and what it does when an answer is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node import cli, health, membership, stores
from images.galera.galera_node.decision.outcomes import Bootstrap, Discard, NewEpoch
from images.galera.galera_node.etcd import EtcdStore
from images.galera.galera_node.membership import Membership
from images.galera.galera_node.settings import SECRETS, Settings
from images.galera.galera_node.store import (
    Cluster,
    Details,
    Facts,
    Position,
    Presence,
    Put,
    SessionLost,
    StoreError,
    View,
    dumps,
    parse,
)
from images.galera.galera_node.words import Topics
from tests.unit.images import store_secrets
from tests.unit.images.fake_etcd import FakeEtcd, store_at

# The store keeps one connection for as long as its process lives.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")]

U = "aaaaaaaa-0000-0000-0000-000000000001"
EMPTY = Presence("empty", "", -1, "10.0.0.1")
STARTING = Presence("starting", U, 0, "10.0.0.1")


@pytest.fixture
def etcd() -> Iterator[FakeEtcd]:
    with FakeEtcd() as made:
        yield made


@pytest.fixture
def store(etcd: FakeEtcd) -> EtcdStore:
    return store_at(etcd.port)


def settings(folder: Path, node: str = "a") -> Settings:
    for name in SECRETS:
        (folder / name).write_text("secret\n")
    return Settings(
        node=node,
        cluster="galera",
        size=3,
        peers="tasks.galera",
        store="",
        subnet=IPv4Network("127.0.0.0/8"),
        database="app",
        secrets=folder,
    )


@pytest.fixture
def node(store: EtcdStore, tmp_path: Path) -> Membership:
    return Membership(settings(tmp_path), store, Topics())


def looked(node: Membership, presence: Presence = EMPTY) -> Facts:
    facts = node.look(presence, Details())
    assert facts is not None
    return facts


# ---- the wire


def test_a_write_that_insists_on_a_revision_is_all_or_nothing(store: EtcdStore, etcd: FakeEtcd) -> None:
    assert store.commit({"cluster": 0}, {"cluster": Put("one"), "epoch": Put("e")})
    assert not store.commit({"cluster": 0}, {"cluster": Put("two"), "view": Put("v")}, ("epoch",))
    assert etcd.held() == {"cluster": "one", "epoch": "e"}
    read = store.read()
    assert store.commit({"cluster": read["cluster"].revision}, {"cluster": Put("two")}, ("epoch",))
    assert etcd.held() == {"cluster": "two"}
    assert store_at(etcd.port, "other").read() == {}  # each cluster has its own keys


def test_what_is_bound_to_a_session_goes_with_it_and_is_known_as_one_s_own(
    store: EtcdStore, etcd: FakeEtcd
) -> None:
    with pytest.raises(SessionLost, match="no lease"):
        store.commit({}, {"present/a": Put("here", bound=True)})
    with pytest.raises(SessionLost, match="no lease"):
        store.renew()
    store.open_session(45)
    store.commit({}, {"present/a": Put("here", bound=True), "cluster": Put("c")})
    assert {key: entry.own for key, entry in store.read().items()} == {"present/a": True, "cluster": False}
    assert not store_at(etcd.port).read()["present/a"].own
    store.close_session()
    assert etcd.held() == {"cluster": "c"}
    store.close_session()  # of none: nothing to do


@pytest.mark.parametrize("asks", ["renew", "commit"])
def test_a_session_that_has_expired_is_told_apart_from_a_store_that_is_away(
    store: EtcdStore, etcd: FakeEtcd, asks: str
) -> None:
    store.open_session(45)
    etcd.expire()
    with pytest.raises(SessionLost, match="expired"):
        store.renew() if asks == "renew" else store.commit({}, {"x": Put("", bound=True)})
    etcd.refuses = "etcdserver: no leader"
    with pytest.raises(StoreError, match=r"refuses /v3/kv/range.*no leader") as caught:
        store.read()
    assert not isinstance(caught.value, SessionLost)
    etcd.refuses = ""
    assert store.read() == {}  # over a new connection


def test_a_session_lives_while_its_node_is_busy_with_other_things(store: EtcdStore, etcd: FakeEtcd) -> None:
    store.open_session(1)  # renewed six times a second
    deadline = time.monotonic() + 30
    while etcd.asked.count("/v3/lease/keepalive") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert etcd.asked.count("/v3/lease/keepalive") >= 2
    store.close_session()


def test_a_store_without_any_address_is_away(etcd: FakeEtcd) -> None:
    port = etcd.port
    etcd._server.server_close()
    with pytest.raises(StoreError, match="does not answer"):
        store_at(port).read()


# ---- what a node is


def test_a_node_shows_itself_once_and_again_when_it_has_become_something_else(
    node: Membership, etcd: FakeEtcd
) -> None:
    assert looked(node).present == {"a": EMPTY}
    writes = etcd.asked.count("/v3/kv/txn")
    looked(node)
    assert etcd.asked.count("/v3/kv/txn") == writes
    facts = looked(node, STARTING)
    assert facts.present == {"a": STARTING}
    assert facts.passwords == {"a": node.passwords}


def test_a_node_whose_session_has_expired_opens_a_new_one_and_shows_itself_again(
    node: Membership, etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looked(node)
    node.holding = True
    etcd.expire()
    monkeypatch.setattr(membership, "RENEW_EVERY", 0.0)
    assert node.look(EMPTY, Details()) is None
    assert (node.session, node.holding) == (False, False)  # its right to bootstrap has gone as well
    assert looked(node).present == {"a": EMPTY}
    assert "expired; opening a new one" in capsys.readouterr().err


def test_a_store_that_is_away_is_said_once_and_its_return_too(
    node: Membership, etcd: FakeEtcd, capsys: pytest.CaptureFixture[str]
) -> None:
    looked(node)
    etcd.refuses = "no leader"
    assert node.look(EMPTY, Details()) is node.look(EMPTY, Details()) is None
    etcd.refuses = ""
    looked(node)
    said = capsys.readouterr().err
    assert said.count("no leader") == said.count("the store answers again") == 1
    assert node.session  # nobody has said that it is over


def test_a_long_step_asks_now_and_then_whether_the_session_still_lives(
    node: Membership, etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looked(node)
    etcd.expire()
    node.keep()  # too early to ask
    monkeypatch.setattr(membership, "RENEW_EVERY", 0.0)
    etcd.refuses = "no leader"
    node.keep()  # this may pass
    assert "no leader" in capsys.readouterr().err
    etcd.refuses = ""
    with pytest.raises(SessionLost):
        node.keep()


# ---- the right to bootstrap


def test_of_two_that_want_to_bootstrap_one_gets_the_right(
    node: Membership, etcd: FakeEtcd, tmp_path: Path
) -> None:
    other = Membership(settings(tmp_path, "b"), store_at(etcd.port), Topics())
    facts, theirs = looked(node), looked(other)
    wants = Bootstrap(True, "all are empty", {"cluster": 0, "bootstrap": 0})
    assert node.claim(wants, STARTING, facts, "", Details())
    assert not other.claim(wants, STARTING, theirs, "", Details())
    assert (node.holding, other.holding) == (True, False)
    now = looked(node, STARTING)
    assert (now.holder, now.mine, now.cluster) == ("a", True, Cluster(U, "forming", "a"))
    assert not looked(other).mine
    node.release()
    assert (node.holding, node.session) == (False, False)
    assert "bootstrap" not in etcd.held()
    node.release()  # of nothing


def test_a_claim_whose_answer_is_lost_is_none_until_the_store_shows_it(
    node: Membership, etcd: FakeEtcd
) -> None:
    facts = looked(node)
    etcd.eats_answers = 1
    wants = Bootstrap(True, "", {"cluster": 0, "bootstrap": 0})
    assert not node.claim(wants, STARTING, facts, "", Details())
    assert (node.holding, node.session) == (False, True)
    assert looked(node).mine


def test_a_claim_of_a_session_that_has_expired_gives_the_session_up(node: Membership, etcd: FakeEtcd) -> None:
    facts = looked(node)
    etcd.expire()
    assert not node.claim(Bootstrap(True, "", {"cluster": 0}), STARTING, facts, "", Details())
    assert not node.session


def test_a_recovery_without_some_of_the_members_begins_an_epoch_and_strikes_them_off(
    node: Membership, store: EtcdStore, etcd: FakeEtcd
) -> None:
    """The record, how the epoch began, who alone can know more, a person's word that is used up: in one."""
    store.commit(
        {},
        {
            "cluster": Put(dumps(Cluster(U, "formed", "b", "1-ab"))),
            "chosen": Put("a"),
            **{f"nodes/{name}": Put(dumps(Position(U, 9))) for name in "abc"},
        },
    )
    facts = looked(node)
    new = NewEpoch("1-ab", {"b": 8}, ("c",))
    wants = Bootstrap(False, "", {"cluster": facts.revision("cluster")}, abort="old", epoch=new)
    starting = Presence("starting", U, 9, "10.0.0.1")
    assert node.claim(wants, starting, facts, "2-cd", Details(votes=3))
    now = looked(node, starting)
    assert now.cluster == Cluster(U, "formed", "b", "2-cd")
    assert now.epoch is not None
    assert (now.epoch.name, now.epoch.before, now.epoch.carried, now.epoch.by) == (
        *("2-cd", "1-ab", {"b": 8}),
        "a",
    )
    assert now.view == View(U, "2-cd", 9, ("a",))  # b is not heard
    assert set(now.nodes) == {"a", "b"}  # whose data is carried over stays a member
    assert now.chosen is None
    assert now.aborted == {"old"}


def test_a_full_outage_with_a_store_that_has_lost_its_data_enters_the_cluster_anew(
    node: Membership, etcd: FakeEtcd
) -> None:
    facts = looked(node)
    assert node.claim(Bootstrap(False, "", {"cluster": 0}), STARTING, facts, "1-ab", Details())
    assert parse(node.store.read()).cluster == Cluster(U, "formed", "a", "1-ab")


def test_a_formation_that_is_over_is_noted_unless_the_facts_have_changed(
    node: Membership, etcd: FakeEtcd
) -> None:
    looked(node)
    assert node.abort(Discard(U, "", {"cluster": 0}))
    assert etcd.held()[f"aborted/{U}"] == "a"
    assert not node.abort(Discard(U, "", {"cluster": 7}))
    etcd.refuses = "no leader"
    assert not node.abort(Discard(U, "", {}))


# ---- where a node is


def test_the_published_position_is_one_that_is_on_disk_by_now(
    node: Membership, store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit({}, {"forgotten/a": Put("")})

    def published() -> int:
        node.publish(Position(U, seqno), looked(node))
        return parse(store.read()).nodes["a"].seqno

    node.begin(Position(U, -1), recorded=False)
    seqno = 10
    assert published() == 0  # nothing is known to be on disk, but it is a member now
    assert not parse(store.read()).forgotten
    seqno = 20
    assert published() == 0  # not so often
    monkeypatch.setattr(membership, "PUBLISH_EVERY", 0.0)
    assert published() == 10
    seqno = 30
    assert published() == 20


FIELDS_OF_BEFORE = {
    "cluster": {"uuid", "phase", "seed"},
    "nodes": {"uuid", "seqno"},
    "present": {"state", "uuid", "seqno", "address"},
}
"""What an early version takes in these records: with any other field it takes the whole store for another
program's, and does nothing any more."""


def test_a_node_of_before_can_read_whatever_is_written_while_it_still_runs(
    node: Membership, store: EtcdStore, etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "PUBLISH_EVERY", 0.0)
    facts = looked(node)
    assert node.claim(Bootstrap(True, "new"), STARTING, facts, "", Details())
    node.begin(Position(U, 3), recorded=True)
    node.publish(Position(U, 5), looked(node))
    written = etcd.held()
    node.leave(Position(U, 9))
    for records in (written, {**written, **etcd.held()}):
        for kind, known in FIELDS_OF_BEFORE.items():
            texts = [text for key, text in records.items() if key.partition("/")[0] == kind]
            assert texts, kind
            for text in texts:
                assert json.loads(text).keys() <= known, kind


def test_a_node_counts_as_recorded_from_when_the_store_lists_it_in_the_last_component(
    node: Membership, store: EtcdStore
) -> None:
    node.begin(Position(U, 3), recorded=False)
    node.publish(Position(U, 3), looked(node))
    assert not node.recorded
    view = View(U, "", 3, ("a", "b"))
    node.show_view(view, looked(node))
    node.publish(Position(U, 3), looked(node))
    assert node.recorded


def test_an_older_component_does_not_take_the_place_of_a_later_one(
    node: Membership, store: EtcdStore, etcd: FakeEtcd
) -> None:
    later, older = View(U, "", 9, ("a",)), View(U, "", 3, ("a", "b"))
    node.show_view(later, looked(node))
    node.show_view(older, looked(node))
    assert looked(node).view == later
    node.show_view(View(U, "2-ab", 1, ("b",)), looked(node))  # of another epoch: it is the later one
    assert json.loads(etcd.held()["view"])["epoch"] == "2-ab"


def test_a_running_cluster_begins_an_epoch_once(node: Membership, store: EtcdStore) -> None:
    assert not node.begin_epoch("2-ab", looked(node), {}, ())  # there is no cluster
    store.commit(
        {},
        {"cluster": Put(dumps(Cluster(U, "formed", "b"))), "nodes/c": Put(dumps(Position(U, 1)))},
    )
    facts = looked(node)
    assert node.begin_epoch("2-ab", facts, {"a": 1}, ("c", "d"))
    assert not node.begin_epoch("2-xy", facts, {"a": 1}, ())  # by facts of before
    now = looked(node)
    assert now.cluster is not None
    assert (now.cluster.epoch, dict(now.nodes)) == ("2-ab", {})


@pytest.mark.parametrize("recorded", [True, False])
def test_last_words_are_the_final_position_of_a_member(
    node: Membership, etcd: FakeEtcd, recorded: bool
) -> None:
    looked(node)
    node.recorded = recorded
    node.leave(Position(U, 42))
    assert ("nodes/a" in etcd.held()) is recorded
    assert "present/a" not in etcd.held()


@pytest.mark.parametrize(
    "does",
    [
        lambda node, facts: node.leave(Position(U, 1)),
        lambda node, facts: node.publish(Position(U, 1), facts),
        lambda node, facts: node.show_view(View(U, "", 1, ("a",)), facts),
        lambda node, facts: node.begin_epoch("2-ab", facts, {}, ()),
    ],
    ids=["leave", "publish", "view", "epoch"],
)
def test_a_store_that_is_away_ends_no_node_and_is_named(
    node: Membership, store: EtcdStore, etcd: FakeEtcd, capsys: pytest.CaptureFixture[str], does: Any
) -> None:
    store.commit({}, {"cluster": Put(dumps(Cluster(U, "formed", "b")))})
    facts = looked(node)
    node.recorded = True
    etcd.refuses = "no leader"
    does(node, facts)
    assert "no leader" in capsys.readouterr().err


# ---- what a person asks and tells


@pytest.fixture
def safe_etcd(tmp_path: Path) -> Iterator[FakeEtcd]:
    """One with TLS and users."""
    with FakeEtcd(store_secrets.server(tmp_path)) as made:
        made.users["galera"] = store_secrets.PASSWORD
        yield made


@pytest.fixture
def environ(safe_etcd: FakeEtcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store_secrets.client(tmp_path)
    for name, value in {
        "STORE": safe_etcd.url,
        "SECRETS_DIR": str(tmp_path),
        "CLUSTER_NAME": "galera",
        "CLUSTER_SIZE": "3",
        "NODE_NAME": "a",
        "RUN_DIR": str(tmp_path),
        "DATA_DIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_a_person_s_word_goes_to_the_store_that_the_container_is_told_of(
    environ: Path, safe_etcd: FakeEtcd, capsys: pytest.CaptureFixture[str]
) -> None:
    etcd = safe_etcd
    stores.store_here().commit(
        {},
        {
            "cluster": Put(dumps(Cluster(U, "formed", "b"))),
            **{f"nodes/{name}": Put(dumps(Position(U, 9))) for name in "abc"},
        },
    )
    assert cli.main(["forget", "c"]) == 0
    assert "forgotten/c" in etcd.held()
    assert cli.main(["remember", "c"]) == 0
    assert "forgotten/c" not in etcd.held()
    assert cli.main(["recover-from", "nobody"]) == 1
    assert cli.main(["new-epoch"]) == 1  # nobody has started a component by hand
    capsys.readouterr()
    cli.main(["status", "--json"])
    assert json.loads(capsys.readouterr().out)
    cli.main(["status"])
    assert U in capsys.readouterr().out
    etcd.refuses = "no leader"
    assert cli.main(["forget", "c"]) == 1
    assert "no leader" in capsys.readouterr().err


def test_a_command_that_there_is_not_is_answered_with_those_that_there_are(
    environ: Path, etcd: FakeEtcd, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["forgett", "c"]) == 2
    assert capsys.readouterr().err.startswith("usage: galera-node run")
    assert cli.main(["forget", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: galera-node run")
    assert etcd.asked == []


def test_the_health_check_says_what_the_node_has_told_it(
    environ: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    health.write(environ, True, "synced")
    assert cli.main(["health"]) == 0
    assert "synced" in capsys.readouterr().out
    health.write(environ, False, "refusing to start: …")
    assert cli.main(["health"]) == 1


def test_a_data_directory_is_packed_for_the_image(environ: Path) -> None:
    (environ / "made").mkdir()
    (environ / "made" / "ibdata1").write_bytes(b"tables")
    assert cli.main(["pack", str(environ / "made"), str(environ / "seed.tar.gz")]) == 0
    assert (environ / "seed.tar.gz").exists()
