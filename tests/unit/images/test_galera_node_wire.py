"""A node's way to its store: TLS on both sides, users, and one clear word for each way in which it fails."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from images.galera.galera_node import stores, wire
from images.galera.galera_node.etcd import EtcdStore
from images.galera.galera_node.network import Names
from images.galera.galera_node.settings import SettingsError
from images.galera.galera_node.store import Put, Store, StoreError
from tests.unit.images import store_secrets
from tests.unit.images.fake_etcd import FakeEtcd

pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:unclosed <s")]

Serve = Callable[..., FakeEtcd]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts an etcd with TLS and the user galera; words are those of `store_secrets.server`."""
    with contextlib.ExitStack() as stack:

        def started(*words: object) -> FakeEtcd:
            etcd = stack.enter_context(FakeEtcd(store_secrets.server(tmp_path, *words)))  # type: ignore[arg-type]
            etcd.users["galera"] = store_secrets.PASSWORD
            return etcd

        yield started


MADE: list[EtcdStore] = []


@pytest.fixture(autouse=True)
def hang_up() -> Iterator[None]:
    """A lease's thread may have the last word, and with it the connection."""
    yield
    while MADE:
        MADE.pop()._wire.drop()


def node_of(etcd: FakeEtcd, folder: Path, host: str = "127.0.0.1") -> Store:
    store = stores.made(f"etcd://{host}:{etcd.port}", "galera", folder, Names(60), 10)
    assert isinstance(store, EtcdStore)
    MADE.append(store)
    return store


def said(store: Store) -> str:
    with pytest.raises(StoreError) as caught:
        store.read()
    return str(caught.value)


def test_a_node_is_let_in_by_its_certificate_and_its_password(serve: Serve, tmp_path: Path) -> None:
    etcd = serve()
    store = node_of(etcd, store_secrets.client(tmp_path))
    store.open_session(45)
    assert store.commit({}, {"x": Put("1", bound=True)})
    assert store.read()["x"].own
    store.renew()
    store.close_session()
    # Once, and not before each question.
    assert etcd.asked.count("/v3/auth/authenticate") == 1


def test_a_token_that_the_store_has_forgotten_is_asked_for_again(serve: Serve, tmp_path: Path) -> None:
    etcd = serve()
    store = node_of(etcd, store_secrets.client(tmp_path))
    store.read()
    etcd.tokens.clear()  # as by a member that has restarted
    assert store.commit({"x": 0}, {"x": Put("1")})
    assert etcd.held() == {"x": "1"}


@pytest.mark.parametrize("takes_for_its_own", [False, True])
def test_a_store_of_before_is_asked_as_nobody_until_it_has_users(
    serve: Serve, tmp_path: Path, takes_for_its_own: bool
) -> None:
    etcd = serve()
    etcd.takes_for_its_own = takes_for_its_own
    etcd.users.clear()
    store = node_of(etcd, store_secrets.client(tmp_path))
    assert store.read() == {}
    etcd.users["galera"] = store_secrets.PASSWORD
    assert store.read() == {}
    assert etcd.tokens


def test_a_wrong_password_is_named_and_so_is_its_secret(serve: Serve, tmp_path: Path) -> None:
    etcd = serve()
    store = node_of(etcd, store_secrets.client(tmp_path))
    etcd.users["galera"] = "another"
    assert "refuses its user galera" in said(store)
    assert "secret store-token" in said(store)
    # Nothing is lost: with the right one it goes on.
    etcd.users["galera"] = store_secrets.PASSWORD
    assert store.read() == {}


def test_a_role_that_is_not_as_it_was_made_is_told(serve: Serve, tmp_path: Path) -> None:
    etcd = serve()
    store = node_of(etcd, store_secrets.client(tmp_path))
    store.read()
    etcd.refuses = "etcdserver: permission denied"
    assert "denies its user galera what this node needs" in said(store)


def test_a_node_whose_certificate_has_expired_says_when(serve: Serve, tmp_path: Path) -> None:
    store = node_of(serve(), store_secrets.client(tmp_path, when=store_secrets.LONG_AGO))
    words = said(store)
    assert "refuses this node's certificate (secret store-client.crt): it expired on 20" in words
    assert "`pulumi up` brings a new one" in words


def test_a_node_with_a_foreign_certificate_is_turned_away_and_knows_why(serve: Serve, tmp_path: Path) -> None:
    store = node_of(serve(), store_secrets.client(tmp_path, store_secrets.STRANGER))
    for _ in range(3):  # whether the alert or the end of the connection comes first is a matter of luck
        assert "Another authority has signed it" in said(store)


@pytest.mark.parametrize(
    ("authority", "when", "words"),
    [
        (
            store_secrets.STRANGER,
            store_secrets.NOW,
            "(secret store-ca.crt) has not signed",
        ),
        (store_secrets.AUTHORITY, store_secrets.LONG_AGO, "shows a certificate that has expired"),
        (
            store_secrets.AUTHORITY,
            store_secrets.NOW + (store_secrets.NOW - store_secrets.LONG_AGO),
            "is not valid yet",
        ),
    ],
    ids=["foreign", "expired", "early"],
)
def test_a_store_with_a_bad_certificate_is_told_nothing(
    serve: Serve, tmp_path: Path, authority: object, when: object, words: str
) -> None:
    etcd = serve(authority, when)
    assert words in said(node_of(etcd, store_secrets.client(tmp_path)))
    assert etcd.asked == []


def test_a_store_under_another_name_is_not_taken_for_it(serve: Serve, tmp_path: Path) -> None:
    etcd = serve()
    store = node_of(etcd, store_secrets.client(tmp_path), "127.0.0.2")
    # It listens on the loopback's first address; the name is compared wherever it answers.
    assert "does not answer" in said(store)
    words = wire.Wire(
        "etcd", "127.0.0.1", etcd.port, Names(60), 10, stores.trust(tmp_path), server_name="etcd"
    )
    with pytest.raises(StoreError, match="shows a certificate of others than etcd"):
        words.request("POST", "/v3/kv/range", "{}")


def test_a_port_without_tls_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as stream, contextlib.suppress(OSError):
                stream.recv(1024)
                stream.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                stream.recv(1024)

        threading.Thread(target=answer, daemon=True).start()
        port = listener.getsockname()[1]
        store = stores.made(f"etcd://127.0.0.1:{port}", "galera", store_secrets.client(tmp_path), Names(60))
        assert "speaks no TLS" in said(store)


def test_secrets_that_do_not_fit_are_named_before_anything_is_asked(tmp_path: Path) -> None:
    store_secrets.client(tmp_path)
    (tmp_path / "store-client.key").write_text("no key")
    with pytest.raises(SettingsError, match=r"store-ca\.crt, store-client\.crt or store-client\.key"):
        stores.made("etcd://etcd:2381", "galera", tmp_path, Names())
    store_secrets.client(tmp_path)
    (tmp_path / "store-token").unlink()
    with pytest.raises(SettingsError, match="store-token"):
        stores.made("etcd://etcd:2381", "galera", tmp_path, Names())
    with pytest.raises(SettingsError, match="not a store this image knows"):
        stores.store_here({"STORE": "http://etcd:2379", "SECRETS_DIR": str(tmp_path)})


def test_the_end_of_a_certificate_is_read_and_else_unknown(tmp_path: Path) -> None:
    store_secrets.client(tmp_path)
    end = wire.valid_until(tmp_path / "store-client.crt")
    assert end is not None
    assert 3649 <= (end - store_secrets.NOW).days <= 3650
    store_secrets.client(tmp_path, when=store_secrets.NOW.replace(year=2045))
    end = wire.valid_until(tmp_path / "store-client.crt")
    assert end is not None
    assert end.year == 2055  # written with four digits
    for text in ("", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"):
        (tmp_path / "odd").write_text(text)
        assert wire.valid_until(tmp_path / "odd") is None
    assert wire.valid_until(tmp_path / "none") is None
