"""Whom an etcd member lets in, step by step: its users and their rights, and the door for clients of before.

The store is played: what etcdctl says as root, and what the member says to nobody. The real one is in
tests/images/test_etcd_clients.py.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components import certificates
from images.etcd.etcd_member import cli, clients, users
from images.etcd.etcd_member.api import ClusterApi, LocalMember
from images.etcd.etcd_member.certificate import valid_until
from images.etcd.etcd_member.ctl import ApiError, Etcdctl
from images.etcd.etcd_member.formation import Member, Start, client_urls
from images.etcd.etcd_member.settings import CERTIFICATES, KEYS, Settings, SettingsError
from images.etcd.etcd_member.users import Grant
from tests.unit.images import store_secrets

pytestmark = pytest.mark.unit

URLS = {"a": "https://10.0.0.1:2380"}
READABLE = ("swarm-galera/galera/present/", "swarm-galera/galera/writer")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    signed = certificates.client_certificate("root", store_secrets.AUTHORITY, store_secrets.NOW, user=True)
    for name in (*CERTIFICATES, *KEYS):
        (tmp_path / name).write_text(signed.private_key if name in KEYS else signed.certificate)
    for user in ("galera", "consumer"):
        (tmp_path / f"etcd-{user}-password").write_text(f"of-{user}\n")
    return Settings(
        "a",
        URLS,
        "t",
        data_dir=tmp_path,
        secrets=tmp_path,
        listen="127.0.0.1",
        readable=READABLE,
        plain_port=free_port(),
        local_port=free_port(),
    )


class Store:
    """A store with users, as root and as nobody see it.

    Attributes:
        users: their passwords. roles: the permissions of each. has: the roles of each user.
        enabled: whether who is no user is refused.
        refuses: what the next calls of root are answered with.
        asked: calls that changed something.
    """

    def __init__(self) -> None:
        self.users, self.has = dict[str, str](), dict[str, list[str]]()
        self.roles: dict[str, dict[tuple[str, str], int]] = {}
        self.enabled, self.refuses, self.asked = False, list[str](), list[str]()
        self.seats: list[Member] = []

    # --- root

    def ask(self, *words: str) -> dict[str, Any]:
        self._refuse()
        match words:
            case ("user", "list"):
                return {"users": list(self.users)} if self.users else {}
            case ("role", "list"):
                return {"roles": list(self.roles)} if self.roles else {}
            case ("user", "get", name):
                return {"roles": self.has.get(name, [])}
            case ("role", "get", name):
                return {"perm": [_printed(*key, kind) for key, kind in self.roles[name].items()]}
        raise AssertionError(words)

    def tell(self, *words: str, line: str = "") -> str:
        self._refuse()
        if words != ("endpoint", "status"):
            self.asked.append(" ".join(words))
        match words:
            case ("user", "add" | "passwd", name, _):
                self.users[name] = line
            case ("role", "add", name):
                self.roles[name] = {}
            case ("user", "grant-role", name, role):
                self.has.setdefault(name, []).append(role)
            case ("role", "grant-permission", name, kind, key, *prefix):
                end = users.range_end(key) if prefix else ""
                self.roles[name][key, end] = users.RIGHTS[kind.upper()]
            case ("role", "revoke-permission", name, key, *end):
                del self.roles[name][key, end[0] if end else ""]
            case ("auth", "enable"):
                self.enabled = True
        return ""

    def _refuse(self) -> None:
        if self.refuses:
            raise ApiError(self.refuses.pop(0))

    # --- nobody

    def serves(self) -> bool:
        return True

    def has_users(self) -> bool:
        return self.enabled

    def accepts(self, user: str, password: str) -> bool:
        return self.users.get(user) == password

    def members(self) -> list[Member]:
        return self.seats


def _printed(key: str, end: str, kind: int) -> dict[str, object]:
    """A permission as etcdctl prints it: without what is nought or empty."""
    coded = {"key": key, "range_end": end}
    words = {name: base64.b64encode(text.encode()).decode() for name, text in coded.items() if text}
    return {**words, **({"permType": kind} if kind else {})}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(clients, "ways", lambda _: (made, made))
    monkeypatch.setattr(clients, "PAUSE", 0.01)
    return made


def right(settings: Settings, store: Any) -> list[str]:
    return users.set_right(settings, store, store)


def test_each_user_may_do_what_it_is_for_and_nothing_else(settings: Settings, store: Store) -> None:
    right(settings, store)
    assert store.users == {"root": "", "galera": "of-galera", "consumer": "of-consumer"}
    assert store.has == {"root": ["root"], "galera": ["galera"], "consumer": ["consumer"]}
    assert store.roles == {
        "galera": {("swarm-galera/", "swarm-galera0"): 2},
        "consumer": {
            ("swarm-galera/galera/present/", "swarm-galera/galera/present0"): 0,
            ("swarm-galera/galera/writer", ""): 0,
        },
    }
    store.enabled = True
    store.asked.clear()
    assert right(settings, store) == []
    assert store.asked == []


def test_rights_that_are_too_much_go_and_a_password_is_changed_only_if_it_is_another(
    settings: Settings, store: Store
) -> None:
    right(settings, store)
    store.enabled = True
    store.roles["consumer"]["", "\0"] = 2
    store.users["galera"] = "by hand"
    store.asked.clear()
    assert right(settings, store) == ["password of galera", "rights of consumer"]
    assert store.users["galera"] == "of-galera"
    assert ("", "\0") not in store.roles["consumer"]
    assert not [call for call in store.asked if "passwd consumer" in call]


def test_what_another_member_has_done_meanwhile_is_no_error(settings: Settings, store: Store) -> None:
    store.users["root"] = ""
    store.has["root"] = ["root"]
    ask, tell = store.ask, store.tell

    def late(*words: str) -> dict[str, Any]:
        return {} if words == ("role", "list") else ask(*words)

    def there(*words: str, line: str = "") -> str:
        if words == ("role", "add", "galera"):
            tell(*words)
            raise ApiError("etcdserver: role name already exists")
        return tell(*words, line=line)

    store.ask, store.tell = late, there  # type: ignore[method-assign]
    assert "user galera" in right(settings, store)
    store.refuses = ["etcdserver: no leader"]
    with pytest.raises(ApiError, match="no leader"):
        right(settings, store)


def test_a_new_store_never_opens_the_door_and_turns_users_on_at_once(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "PlainDoor", None)
    clients.leave_mark(settings.data_dir)
    said: list[str] = []
    store.refuses = ["etcdserver: no leader"] * 2
    clients.keep(settings, Start.NEW, said.append)
    assert store.enabled
    assert said.count("the users are not seen to yet: etcdserver: no leader") == 1
    assert said[-1] == "users are turned on: who is none is refused"


@contextlib.contextmanager
def beside(settings: Settings, start: Start) -> Iterator[list[str]]:
    """The keeper in a thread, as in a process of its own; what it says."""
    said: list[str] = []
    thread = threading.Thread(target=clients.keep, args=(settings, start, said.append), daemon=True)
    thread.start()
    yield said
    thread.join(30)
    assert not thread.is_alive()


def until(said: Sequence[str], words: str) -> None:
    for _ in range(3000):
        if any(words in each for each in said):
            return
        threading.Event().wait(0.01)
    raise AssertionError((words, said))


@pytest.fixture
def inside(settings: Settings) -> Iterator[None]:
    """The member on its loopback: it says everything again, in capitals."""
    with socket.create_server(("127.0.0.1", settings.local_port)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    stream, _ = listener.accept()
                    threading.Thread(target=echo, args=(stream,), daemon=True).start()

        def echo(stream: socket.socket) -> None:
            with stream, contextlib.suppress(OSError):
                while part := stream.recv(1024):
                    stream.sendall(part.upper())

        threading.Thread(target=serve, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.usefixtures("inside")
def test_a_store_of_before_lets_clients_in_without_tls_until_users_are_turned_on(
    settings: Settings, store: Store
) -> None:
    with beside(settings, Start.RESUME) as said:
        until(said, f"let in at port {settings.plain_port}")
        client = socket.create_connection(("127.0.0.1", settings.plain_port), timeout=10)
        client.sendall(b"of before")
        assert client.recv(100) == b"OF BEFORE"
        assert clients.told(settings).startswith("clients need no user: an unfinished change")
        assert clients.secure(settings, said.append) == "clients are users from now on"
        until(said, "is closed")
        assert client.recv(100) == b""
        client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", settings.plain_port), timeout=1)
    assert clients.has_mark(settings.data_dir)
    assert clients.told(settings).startswith("users until 20")
    assert clients.secure(settings, said.append) == "clients are users already"


def test_users_that_somebody_has_turned_off_are_no_unfinished_change_and_come_back_by_a_word(
    settings: Settings, store: Store
) -> None:
    clients.leave_mark(settings.data_dir)
    assert not store.enabled
    assert clients.told(settings) == (
        "clients need no user: somebody has turned users off, which no `pulumi up` sees. Remedy: "
        "`etcd-member secure` in this container"
    )
    assert clients.secure(settings, print) == "clients are users from now on"
    assert clients.told(settings).startswith("users until 20")


def test_one_that_came_anew_waits_for_the_users_of_a_store_that_has_just_formed(
    settings: Settings, store: Store
) -> None:
    with beside(settings, Start.REJOIN) as said:
        threading.Event().wait(0.1)
        store.enabled = True
    assert not [each for each in said if "let in" in each]


def test_users_are_not_turned_on_while_a_member_of_before_is_left(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "PUBLISHED", 0.0)
    store.seats = [
        Member(1, "a", (), ("https://etcd:2381",)),
        Member(2, "b", (), ("http://etcd:2379",)),
    ]
    with pytest.raises(ApiError, match=r"^b still run an older image.*Remedy"):
        clients.secure(settings, print)
    assert not store.enabled


def test_what_is_wrong_with_a_member_s_clients_is_one_line(settings: Settings, store: Store) -> None:
    store.enabled = True
    store.refuses = ["endpoint status at 127.0.0.1:2381: a certificate has expired"]
    assert clients.told(settings) == (
        "root is not let in: endpoint status at 127.0.0.1:2381: a certificate has expired"
    )
    with socket.create_server(("127.0.0.1", settings.plain_port)):
        assert "clients are let in without TLS at port" in clients.told(settings)
    old = certificates.client_certificate("root", store_secrets.AUTHORITY, store_secrets.LONG_AGO, user=True)
    (settings.secrets / "etcd-server.crt").write_text(old.certificate)
    assert clients.told(settings).startswith("etcd-server.crt expired on 20")


def test_commands_say_how_they_ended(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("images.etcd.etcd_member.settings.load", lambda: settings)
    monkeypatch.setattr(clients, "PATIENCE", 0.0)
    assert cli.main(["secure"]) == cli.main(["clients"]) == cli.main(["keep", "resume"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("clients are users from now on\nusers until ")
    store.enabled, store.refuses = False, ["etcdserver: no leader"]
    assert cli.main(["secure"]) == 1
    assert "no leader" in capsys.readouterr().err


# ---- root


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('{"level":"warn"}\nError: etcdserver: unhealthy cluster\n', "etcdserver: unhealthy cluster"),
        ("", "no reason given"),
        (
            '{"error":"x509: certificate has expired or is not yet valid"}\nError: context deadline exceeded',
            "context deadline exceeded: a certificate has expired",
        ),
        (
            '{"error":"remote error: tls: bad certificate"}\nError: timed out',
            "the member refuses the certificate",
        ),
    ],
)
def test_etcdctl_s_reason_is_found_among_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, words: str
) -> None:
    calls: list[Any] = []

    def run(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        calls.append((list(argv), options))
        return subprocess.CompletedProcess("", 1, "", said)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ApiError) as caught:
        Etcdctl(["https://etcd:2381"], tmp_path).tell("user", "add", "x", line="secret")
    assert str(caught.value).startswith("user add at etcd:2381: ")
    assert words in str(caught.value)
    ((argv, options),) = calls
    assert "secret" not in " ".join(argv)  # where every process of the host could read it
    assert options["input"] == "secret\n"
    assert f"--cert={tmp_path}/etcd-root.crt" in argv


def test_what_is_no_record_is_an_error_and_so_is_a_program_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Etcdctl(["http://etcd:2379"], tmp_path)
    monkeypatch.setattr("images.etcd.etcd_member.ctl.PROGRAM", str(tmp_path / "none"))
    with pytest.raises(ApiError, match="No such file"):
        root.ask("member", "list")
    done = subprocess.CompletedProcess("", 0, "[]", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(ApiError, match="no record"):
        root.ask("member", "list")


def test_a_record_is_written_by_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Sequence[str]] = []

    def run(argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(argv)
        return subprocess.CompletedProcess("", 0, "OK", "")

    monkeypatch.setattr(subprocess, "run", run)
    ClusterApi(["http://etcd:2379"], tmp_path).put("key", "value")
    assert calls[0][-3:] == ["put", "key", "value"]
    assert not [word for word in calls[0] if word.startswith("--cert")]


@pytest.mark.parametrize(
    ("answer", "has", "accepts"),
    [
        ((400, "etcdserver: authentication is not enabled"), False, None),
        ((400, "etcdserver: authentication failed, invalid user ID or password"), True, False),
        ((200, "{}"), True, True),
        ((503, "etcdserver: request timed out"), None, None),
    ],
)
def test_a_member_says_whether_there_are_users(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str], has: bool | None, accepts: bool | None
) -> None:
    def post(_self: LocalMember, _path: str, _body: object) -> dict[str, Any]:
        if answer[0] != 200:
            raise ApiError(answer[1])
        found: dict[str, Any] = json.loads(answer[1])
        return found

    monkeypatch.setattr(LocalMember, "_post", post)
    for expected, asks in (
        (has, LocalMember(1).has_users),
        (accepts, lambda: LocalMember(1).accepts("a", "b")),
    ):
        if expected is None:
            with pytest.raises(ApiError):
                asks()
        else:
            assert asks() is expected


def test_where_clients_go_is_what_the_live_members_say() -> None:
    old, new = (
        Member(number, name, (), (url,))
        for number, name, url in ((1, "a", "http://etcd:2379"), (2, "b", "https://etcd:2381"))
    )
    assert client_urls({"a": [old], "b": [old, new], "c": None}) == ["https://etcd:2381", "http://etcd:2379"]
    assert client_urls({"a": [], "b": None}) == []


def test_a_password_of_two_words_or_none_is_refused(settings: Settings) -> None:
    for text in ("", "two words"):
        (settings.secrets / "etcd-galera-password").write_text(text)
        with pytest.raises(SettingsError, match="must hold one word"):
            settings.password("galera")


def test_the_end_of_a_certificate_is_read(settings: Settings, tmp_path: Path) -> None:
    end = valid_until(settings.secrets / "etcd-root.crt")
    assert end is not None
    assert end.year == (store_secrets.NOW + certificates.VALID_FOR).year
    (tmp_path / "odd").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    assert valid_until(tmp_path / "odd") is None
    assert valid_until(tmp_path / "none") is None


def test_a_door_whose_member_is_away_lets_nobody_wait(settings: Settings) -> None:
    port = free_port()
    door = clients.PlainDoor("127.0.0.1", port, ("127.0.0.1", settings.local_port))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        assert client.recv(10) == b""
    door.close()
    clients.take_mark(replace(settings).data_dir)
    assert Grant("read", "a/").words == ["a/", "--prefix"]
