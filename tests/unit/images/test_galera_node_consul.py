"""Consul as a node's store, and the service that it announces there: words on the wire, and their meaning."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from images.galera.galera_node import announcement as announcement_module
from images.galera.galera_node import stores
from images.galera.galera_node.announcement import Announcement
from images.galera.galera_node.consul import ConsulClient, ConsulStore, gateway
from images.galera.galera_node.etcd import EtcdStore
from images.galera.galera_node.membership import SESSION_TTL, Membership
from images.galera.galera_node.network import Names
from images.galera.galera_node.settings import SECRETS, Settings, SettingsError, load, store_address
from images.galera.galera_node.store import Details, Presence, Put, SessionLost, StoreError
from images.galera.galera_node.wire import Wire
from images.galera.galera_node.words import Topics
from tests.unit.images.fake_consul import TOKEN, FakeConsul

# The store keeps one connection for as long as its process lives.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

SERVES, DRAINS, DOES_NOT = 200, 404, 503  # as load balancers hear it

ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	0000140A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth1	00000000	010012AC	0003	0	0	0	00000000	0	0	0
"""


@pytest.fixture
def consul() -> Iterator[FakeConsul]:
    with FakeConsul() as made:
        yield made


def wire(consul: FakeConsul) -> Wire:
    return Wire("Consul", "127.0.0.1", consul.port, Names())


def made(consul: FakeConsul, cluster: str = "galera", token: str = TOKEN) -> ConsulStore:
    return ConsulStore(wire(consul), cluster, token)


@pytest.fixture
def store(consul: FakeConsul) -> ConsulStore:
    return made(consul)


# ---- records


def test_a_write_that_insists_on_a_revision_is_all_or_nothing(store: ConsulStore, consul: FakeConsul) -> None:
    assert store.commit({"cluster": 0}, {"cluster": Put("one"), "epoch": Put("e")})
    assert not store.commit({"cluster": 0}, {"cluster": Put("two"), "view": Put("v")}, ("epoch",))
    assert consul.held() == {"cluster": "one", "epoch": "e"}
    read = store.read()
    assert store.commit({"cluster": read["cluster"].revision}, {"cluster": Put("two")}, ("epoch",))
    assert consul.held() == {"cluster": "two"}
    assert not store.commit({"cluster": read["cluster"].revision}, {"cluster": Put("three")})
    assert not store.commit({"epoch": read["epoch"].revision}, {"cluster": Put("three")})  # it is gone
    assert made(consul, "other").read() == {}  # each cluster has its own keys


def test_what_is_bound_to_a_session_goes_with_it_and_is_known_as_one_s_own(
    store: ConsulStore, consul: FakeConsul
) -> None:
    with pytest.raises(SessionLost, match="no session"):
        store.commit({}, {"present/a": Put("here", bound=True)})
    with pytest.raises(SessionLost, match="no session"):
        store.renew()
    store.open_session(SESSION_TTL)
    store.commit({}, {"present/a": Put("here", bound=True), "cluster": Put("c")})
    assert {key: entry.own for key, entry in store.read().items()} == {"present/a": True, "cluster": False}
    assert not made(consul).read()["present/a"].own
    store.close_session()
    assert consul.held() == {"cluster": "c"}
    store.close_session()  # of none: nothing to do


def test_a_new_container_takes_over_what_the_session_of_the_one_before_it_still_holds(
    store: ConsulStore, consul: FakeConsul
) -> None:
    store.open_session(SESSION_TTL)
    store.commit({}, {"present/a": Put("before", bound=True), "bootstrap": Put("a", bound=True)})
    later = made(consul)
    later.open_session(SESSION_TTL)
    assert later.commit({}, {"present/a": Put("now", bound=True)})
    assert {key: entry.own for key, entry in later.read().items()} == {"present/a": True, "bootstrap": False}
    store.close_session()
    assert consul.held() == {"present/a": "now"}


def test_a_session_rests_on_its_own_time_alone_of_which_consul_waits_twice(
    store: ConsulStore, consul: FakeConsul
) -> None:
    store.open_session(45)
    assert consul.sessions["session-1"] == {
        "Name": "galera-node",
        "TTL": "22.5s",
        "Behavior": "delete",
        "LockDelay": "0s",
        "NodeChecks": [],
    }
    store.close_session()
    store.open_session(1)
    assert consul.sessions["session-2"]["TTL"] == "10s"  # it takes no shorter one
    store.close_session()


@pytest.mark.parametrize("asks", ["renew", "commit"])
def test_a_session_that_has_expired_is_told_apart_from_a_store_that_is_away(
    store: ConsulStore, consul: FakeConsul, asks: str
) -> None:
    store.open_session(SESSION_TTL)
    consul.expire()
    with pytest.raises(SessionLost, match="expired"):
        store.renew() if asks == "renew" else store.commit({}, {"x": Put("", bound=True)})
    with pytest.raises(SessionLost, match="no session"):
        store.renew()
    consul.refuses = "No cluster leader"
    with pytest.raises(StoreError, match=r"cannot answer /v1/txn: No cluster leader") as caught:
        store.read()
    assert not isinstance(caught.value, SessionLost)
    consul.refuses = ""
    assert store.read() == {}  # over a new connection


def test_a_session_lives_while_its_node_is_busy_with_other_things(
    store: ConsulStore, consul: FakeConsul
) -> None:
    store.open_session(1)  # renewed six times a second
    deadline = time.monotonic() + 30
    renewals = "/v1/session/renew/session-1"
    while consul.asked.count(renewals) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert consul.asked.count(renewals) >= 2
    store.close_session()


def test_a_token_that_is_not_known_is_one_clear_error_and_no_empty_store(consul: FakeConsul) -> None:
    store = made(consul, token="another")
    for asks in (store.read, lambda: store.open_session(45), lambda: store.commit({}, {"x": Put("")})):
        with pytest.raises(StoreError, match="does not know the token of this node's secret store-token"):
            asks()


def test_a_token_without_the_right_to_the_records_is_one_clear_error_and_no_empty_store(
    consul: FakeConsul, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.images.fake_consul.MAY_WRITE", "elsewhere/")
    store = made(consul)
    with pytest.raises(StoreError, match=r"denies this node's token what it needs \(/v1/txn\)"):
        store.read()
    # Any other would set nothing right: that is done by whoever comes to lead.
    with pytest.raises(StoreError, match=r"denies this .*restart the server of Consul that leads"):
        store.commit({"cluster": 0}, {"cluster": Put("c")})


def test_an_answer_that_is_none_is_an_error(consul: FakeConsul, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(consul)
    stranges: tuple[Any, ...] = (None, [], {"Results": [{"KV": {}}]}, {"Results": [{"KV": None}]})
    for strange in stranges:
        monkeypatch.setattr(FakeConsul, "_transaction", mock.Mock(return_value=strange))
        with pytest.raises(StoreError, match=r"refuses|no keys"):
            store.read()


def test_a_node_shows_itself_in_consul_as_in_etcd(consul: FakeConsul, tmp_path: Path) -> None:
    node = Membership(settings(tmp_path), made(consul), Topics())
    empty = Presence("empty", "", -1, "10.0.0.1")
    facts = node.look(empty, Details())
    assert facts is not None
    assert facts.present == {"a": empty}
    consul.expire()
    node._renewed = float("-inf")
    assert node.look(empty, Details()) is None  # it learns that its session is gone
    again = node.look(empty, Details())
    assert again is not None
    assert again.present == {"a": empty}


def test_a_write_whose_answer_is_lost_may_have_been_done(store: ConsulStore, consul: FakeConsul) -> None:
    consul.eats_answers = 1
    with pytest.raises(StoreError, match="does not answer"):
        store.commit({"cluster": 0}, {"cluster": Put("one")})
    assert store.read()["cluster"].value == "one"


# ---- which store it is


def settings(folder: Path, store: str = "") -> Settings:
    for name in (*SECRETS, stores.TOKEN):
        (folder / name).write_text("secret\n")
    subnet = IPv4Network("127.0.0.0/8")
    return Settings("a", "galera", 3, "tasks.galera", store, subnet, "app", secrets=folder, port=3306)


def test_the_scheme_says_which_store_it_is_and_gateway_the_container_s_own_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "route").write_text(ROUTES)
    monkeypatch.setattr(stores, "ROUTES", tmp_path / "route")
    monkeypatch.setattr(stores, "trust", lambda _secrets: None)
    consul = stores.store_of(settings(tmp_path, "consul://gateway:8501"), Names())
    assert isinstance(consul, ConsulStore)
    assert consul.client.where == "Consul at 172.18.0.1:8501"
    assert isinstance(stores.store_of(settings(tmp_path, "etcd://etcd:2381"), Names()), EtcdStore)
    (tmp_path / "route").write_text(ROUTES.splitlines()[0])
    with pytest.raises(SettingsError, match="no default route"):
        stores.store_of(settings(tmp_path, "consul://gateway:8501"), Names())


def test_a_gateway_is_found_among_the_routes() -> None:
    assert gateway(ROUTES) == "172.18.0.1"
    assert gateway("") is None


def test_a_store_of_another_kind_is_refused() -> None:
    with pytest.raises(SettingsError, match="etcd://host:port or consul://host:port"):
        store_address("zookeeper://host:2181")


def test_only_a_store_with_a_catalog_hears_of_the_service(consul: FakeConsul, tmp_path: Path) -> None:
    answers = Told()
    made_here = stores.announced(settings(tmp_path), made(consul), answers)
    assert isinstance(made_here, Announcement)
    assert stores.announced(settings(tmp_path), EtcdStore(wire(consul), "galera"), answers) is None


@pytest.mark.parametrize("port", ["", "x", "0", "65536"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    settings(tmp_path)
    environ = {
        "NODE_NAME": "a",
        "CLUSTER_NAME": "galera",
        "CLUSTER_SIZE": "3",
        "SUBNET": "10.0.0.0/24",
        "PEERS": "tasks.galera",
        "STORE": "consul://gateway:8501",
        "SECRETS_DIR": str(tmp_path),
    }
    assert load({**environ, "DB_PORT": "6447"}).port == 6447
    with pytest.raises(SettingsError, match="DB_PORT"):
        load({**environ, "DB_PORT": port})


# ---- the service db


class Told:
    """What load balancers are told."""

    def __init__(self) -> None:
        self.reader = self.writer = DOES_NOT

    def answer(self, path: str) -> int:
        return self.writer if path == "/writer" else self.reader


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def announcement(consul: FakeConsul, told: Told) -> Announcement:
    return Announcement(ConsulClient(wire(consul), TOKEN), told, 6447)


def test_a_node_is_found_by_name_only_while_clients_may_be_sent_to_it(
    announcement: Announcement, consul: FakeConsul, told: Told
) -> None:
    announcement.look()
    assert consul.services["db"]["Port"] == 6447
    assert consul.services["db"]["Check"]["TTL"] == "15s"
    assert "Address" not in consul.services["db"]  # the agent knows its own
    assert consul.checks["db"] == ("critical", "no clients are to be sent here")
    told.reader = SERVES
    announcement.look()
    assert consul.checks["db"] == ("passing", "Synced")
    told.reader = DRAINS
    announcement.look()
    assert consul.checks["db"][0] == "critical"


def test_the_node_that_takes_the_writes_has_a_tag(
    announcement: Announcement, consul: FakeConsul, told: Told
) -> None:
    told.reader = told.writer = SERVES
    announcement.look()
    assert consul.services["db"]["Tags"] == ["writer"]
    assert consul.checks["db"][0] == "passing"
    told.writer = DRAINS
    announcement.look()
    assert consul.services["db"]["Tags"] == []
    assert consul.checks["db"][0] == "passing"


def test_an_agent_hears_again_what_it_knows_before_it_would_forget_it(
    announcement: Announcement, consul: FakeConsul
) -> None:
    announcement.look()
    asked = len(consul.asked)
    announcement.look()
    assert len(consul.asked) == asked
    announcement._told_at = float("-inf")
    announcement.look()
    assert consul.asked[asked:] == ["/v1/agent/check/update/db"]


def test_an_agent_that_has_lost_the_service_gets_it_again(
    announcement: Announcement, consul: FakeConsul, told: Told
) -> None:
    announcement.look()
    consul.forget_services()
    told.reader = SERVES
    with pytest.raises(StoreError, match="Unknown check"):
        announcement.look()
    announcement.look()
    assert consul.checks["db"] == ("passing", "Synced")


def test_a_node_whose_agent_is_away_says_so_once_and_goes_on(
    announcement: Announcement,
    consul: FakeConsul,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Enough(BaseException):
        """The loop has gone round often enough."""

    rounds = 0

    def sleep(_seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        consul.refuses = "" if rounds == 2 else consul.refuses
        if rounds == 3:
            raise Enough

    consul.refuses = "No cluster leader"
    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(Enough):
        announcement._run()
    assert capsys.readouterr().err.count("db is not announced") == 1
    assert "db" in consul.services


def test_what_serves_is_the_same_for_load_balancers_and_for_the_catalog(modules: Any) -> None:
    assert announcement_module.SERVES == modules.endpoints.SERVES
