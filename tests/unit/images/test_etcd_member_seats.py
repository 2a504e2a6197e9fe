"""What etcd members say to one another over TLS before there is a cluster, and how seats are changed then."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components import certificates
from images.etcd.etcd_member import alone, cli, clients, force, peers
from images.etcd.etcd_member.api import ELECTIONS, LocalMember
from images.etcd.etcd_member.ctl import ApiError, Etcdctl
from images.etcd.etcd_member.formation import Member, Start
from images.etcd.etcd_member.peers import EmptySeat
from images.etcd.etcd_member.settings import Settings

pytestmark = pytest.mark.unit

NOW = dt.datetime.now(dt.UTC)
AUTHORITY = certificates.new_authority("etcd", NOW)
STRANGER = certificates.new_authority("another stack", NOW)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def member(
    folder: Path, name: str, urls: dict[str, str], authority: certificates.Signed = AUTHORITY
) -> Settings:
    """The settings of a member whose certificate this authority has signed; it trusts AUTHORITY."""
    secrets = folder / f"secrets-{name}"
    secrets.mkdir()
    signed = certificates.peer_certificate("etcd", ["127.0.0.1"], authority, NOW)
    for kind in ("peer", "server", "root"):
        (secrets / f"etcd-{kind}.crt").write_text(signed.certificate)
        (secrets / f"etcd-{kind}.key").write_text(signed.private_key)
    for kind in ("peer", "client"):
        (secrets / f"etcd-{kind}-ca.crt").write_text(AUTHORITY.certificate)
    for user in ("galera", "consumer"):
        (secrets / f"etcd-{user}-password").write_text(f"of-{user}")
    data = folder / f"data-{name}"
    data.mkdir()
    return Settings(name, urls, "token", data_dir=data, secrets=secrets, listen="127.0.0.1")


@pytest.fixture
def urls() -> dict[str, str]:
    return {name: f"https://127.0.0.1:{free_port()}" for name in "ab"}


@pytest.fixture
def seat(tmp_path: Path, urls: dict[str, str]) -> Iterator[EmptySeat]:
    made = EmptySeat(member(tmp_path, "a", urls))
    yield made
    made.close()


def asked(settings: Settings, url: str, whom: str = "a") -> list[Member] | None:
    tls = peers.context(settings, ssl.PROTOCOL_TLS_CLIENT)
    answer = peers.members_at(url, settings.name, tls, whom=whom)
    return None if answer is None else list(answer)


def test_empty_members_learn_of_one_another(tmp_path: Path, urls: dict[str, str], seat: EmptySeat) -> None:
    assert seat.answers() == {"b": None}
    assert seat.at_home  # its own URL leads to itself
    other = EmptySeat(member(tmp_path, "b", urls))
    try:
        assert other.answers() == {"a": []}
        assert seat.asked.wait(10)  # it need not wait out its pause
        assert seat.answers() == {"b": []}
    finally:
        other.close()
    # One that has asked and now is silent starts its etcd: it was empty.
    assert seat.answers() == {"b": []}


def test_a_member_whose_word_is_old_counts_as_unknown(
    tmp_path: Path, urls: dict[str, str], seat: EmptySeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(member(tmp_path, "b", urls), urls["a"]) == []
    assert seat.answers() == {"b": []}
    monkeypatch.setattr(peers, "FRESH", 0.0)
    assert seat.answers() == {"b": None}


def test_an_address_that_leads_to_another_host_is_not_home(tmp_path: Path) -> None:
    """As when a service still has the address that a former host had."""
    port = free_port()
    urls = {"a": f"https://127.0.0.2:{port}", "b": f"https://127.0.0.3:{port}"}
    seats = [
        EmptySeat(replace(member(tmp_path, name, urls), listen=listen))
        for name, listen in (("a", "127.0.0.1"), ("b", "127.0.0.2"))
    ]
    try:
        assert seats[0].answers() == {"b": None}
        assert not seats[0].at_home
        assert not seats[1].at_home  # it was asked as another one
    finally:
        for each in seats:
            each.close()


def test_strangers_learn_nothing_and_disturb_nobody(
    tmp_path: Path, urls: dict[str, str], seat: EmptySeat
) -> None:
    assert asked(member(tmp_path, "x", urls, STRANGER), urls["a"]) is None
    host, port = "127.0.0.1", int(urls["a"].rpartition(":")[2])
    with socket.create_connection((host, port)) as scan:
        scan.sendall(b"GET / HTTP/1.0\r\n\r\n")
        scan.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            while scan.recv(1024):
                pass
    friend = member(tmp_path, "b", urls)
    tls = peers.context(friend, ssl.PROTOCOL_TLS_CLIENT)
    with socket.create_connection((host, port)) as raw, tls.wrap_socket(raw) as stream:
        stream.sendall(b"POST /raft HTTP/1.1\r\n\r\n")  # what an etcd says to its peer
        assert stream.recv(100).startswith(b"HTTP/1.0 503 ")
    assert asked(friend, urls["a"]) == []


def test_nobody_is_there_once_the_seat_is_closed(tmp_path: Path, urls: dict[str, str]) -> None:
    own = member(tmp_path, "a", urls)
    seat = EmptySeat(own)
    seat.close()
    assert asked(own, urls["a"]) is None
    EmptySeat(own).close()  # and the port is free for etcd


# ---- the cluster's seats

SEATS: list[dict[str, Any]] = [
    {"ID": 11, "name": "a", "peerURLs": ["https://10.0.0.1:2380"], "clientURLs": ["https://etcd:2381"]},
    {"ID": 12, "name": "b", "peerURLs": ["https://10.0.0.2:2380"], "clientURLs": ["https://etcd:2381"]},
]


class Cluster:
    """A cluster's client API, and what etcdctl says of it; `refuses`: the next answers are these errors."""

    def __init__(self) -> None:
        self.seats, self.refuses, self.asked = list(SEATS), list[str](), list[str]()
        self.status = 200
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if cluster.refuses:
                    self._say(503, json.dumps({"error": cluster.refuses.pop(0)}))
                else:
                    self._say(200, json.dumps(cluster._answer(self.path, body)))

            def do_GET(self) -> None:
                self._say(cluster.status, "{}")

            def _say(self, code: int, text: str) -> None:
                with contextlib.suppress(OSError):  # who asks may have read enough
                    self.send_response(code)
                    self.end_headers()
                    self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self.at = list[str]()

    def _answer(self, path: str, _body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(path.rpartition("/")[2])
        return {"members": self.seats}

    def call(self, url: str, words: Sequence[str], _line: str) -> subprocess.CompletedProcess[str]:
        """What etcdctl does, for root."""
        self.at.append(url)
        if self.refuses:
            log = '{"level":"warn","msg":"retrying of unary invoker failed"}'
            return subprocess.CompletedProcess("", 1, "", f"{log}\nError: {self.refuses.pop(0)}\n")
        _member, verb, *what = words
        self.asked.append(verb)
        if verb == "remove":
            self.seats = [seat for seat in self.seats if seat["ID"] != int(what[0], 16)]
        elif verb == "add":
            self.seats.append({"ID": 13, "peerURLs": [what[1].removeprefix("--peer-urls=")]})
        return subprocess.CompletedProcess("", 0, json.dumps({"members": self.seats}), "")

    def __enter__(self) -> Cluster:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with Cluster() as made:
        monkeypatch.setattr(Etcdctl, "_call", made.call)
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "RETRY", 0.01)


def test_a_member_that_lost_its_disk_gives_its_former_seat_up_before_it_takes_another(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"a": "https://10.0.0.1:2380", "b": "https://10.0.0.2:2380"}
    cluster.refuses = ["etcdserver: unhealthy cluster", "etcdserver: unhealthy cluster"]
    taken = cli.take_seat(Settings("a", names, "t"), names["a"])
    assert cluster.asked == ["list", "remove", "add"]
    assert taken == "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380"
    said = capsys.readouterr().err
    assert said.count("waiting until the cluster can change its seats") == 1
    assert "removing the own former seat b: its data is lost" in said


def test_a_seat_that_waits_for_a_member_is_taken_as_it_is(cluster: Cluster) -> None:
    cluster.seats = [{"ID": 13, "peerURLs": ["https://10.0.0.1:2380"]}, SEATS[1]]
    names = {"a": "https://10.0.0.1:2380", "b": "https://10.0.0.2:2380"}
    assert "a=https://10.0.0.1:2380" in cli.take_seat(Settings("a", names, "t"), names["a"])
    assert cluster.asked == ["list"]


@pytest.mark.parametrize(
    ("refuses", "majority"),
    [
        pytest.param([], True, id="it reads"),
        pytest.param(["etcdserver: user name is empty"], True, id="it asks who that is"),
        pytest.param(["etcdserver: permission denied"], True, id="it has users since a moment ago"),
        pytest.param(["etcdserver: request timed out"], False, id="it says so itself"),
        pytest.param(["etcdserver: no leader"], False, id="no leader"),
        pytest.param(["etcdserver: leader changed"], True, id="an election has ended the question"),
    ],
)
def test_a_member_knows_whether_there_is_a_majority(
    cluster: Cluster, refuses: list[str], majority: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images.etcd.etcd_member.api.time.sleep", lambda _: None)
    cluster.refuses = refuses
    assert LocalMember(cluster.port).has_majority() is majority


def test_elections_without_an_end_or_another_refusal_are_no_answer(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images.etcd.etcd_member.api.time.sleep", lambda _: None)
    cluster.refuses = ["etcdserver: leader changed"] * (ELECTIONS + 5)
    with pytest.raises(ApiError, match="leader changed"):
        LocalMember(cluster.port).has_majority()
    assert len(cluster.refuses) == 5
    cluster.refuses = ["etcdserver: corrupt"]
    with pytest.raises(ApiError, match="corrupt"):
        LocalMember(cluster.port).has_majority()


def test_a_member_that_only_takes_connections_does_not_serve(cluster: Cluster) -> None:
    assert LocalMember(cluster.port).serves()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not LocalMember(silent.getsockname()[1]).serves(timeout=0.2)
    with pytest.raises(ApiError, match=r"member/list at 127\.0\.0\.1"):
        LocalMember(free_port()).members()


def test_a_majority_that_answers_is_not_forced_away(
    cluster: Cluster, tmp_path: Path, urls: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    own = member(tmp_path, "a", urls)
    asking = replace(own, local_port=cluster.port)
    assert force.has_majority(asking, 1.0, cli.log)
    cluster.refuses = ["etcdserver: no leader"] * 2
    assert not force.has_majority(asking, 1.0, cli.log)
    # One that serves nobody is no word of the others': they are asked.
    cluster.status = 503
    assert not force.has_majority(asking, 60.0, cli.log)
    assert "asking the others" in capsys.readouterr().err


# ---- the commands


@pytest.fixture
def forgets(cluster: Cluster, tmp_path: Path) -> Callable[[str], int]:
    """`etcd-member forget NAME` in the container of an empty member."""
    environ = {
        "NODE_NAME": "a",
        "DATA_DIR": str(tmp_path / "none"),
        "ETCD_INITIAL_CLUSTER": "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380",
    }
    return lambda name: cli.forget(name, environ)


def test_a_host_that_leaves_for_good_loses_its_seat_once(
    cluster: Cluster, forgets: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert forgets("b") == 0
    assert [seat["name"] for seat in cluster.seats] == ["a"]
    assert forgets("b") == 0
    assert capsys.readouterr().out == "b has lost its seat\nb has no seat\n"


def test_a_member_does_not_take_its_own_seat_away(
    cluster: Cluster, forgets: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert forgets("a") == 1
    assert "ask another one" in capsys.readouterr().err
    assert cluster.asked == []


def test_without_a_cluster_there_is_no_seat_but_a_member_of_one_must_be_answered(
    tmp_path: Path, cluster: Cluster, forgets: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.refuses = ["etcdserver: no leader"] * 2
    assert forgets("b") == 0
    assert "no cluster answers" in capsys.readouterr().out
    (tmp_path / "member" / "wal").mkdir(parents=True)
    (tmp_path / "member" / "wal" / "0.wal").touch()
    environ = {"NODE_NAME": "a", "DATA_DIR": str(tmp_path)}
    assert cli.forget("b", environ) == 1
    assert "the seat of b cannot be taken away" in capsys.readouterr().err


def test_a_member_is_healthy_when_its_client_port_answers(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LISTEN_ADDRESS", raising=False)
    assert cli.health(cluster.port) == 0
    cluster.status = 503
    assert cli.health(cluster.port) == 1
    assert cli.health(free_port()) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "serving"
    assert said[1].startswith("the client port answers b'HTTP/1.0 503")
    assert said[2].startswith("the client port does not answer")


def test_members_that_are_all_empty_form_a_cluster(tmp_path: Path, urls: dict[str, str]) -> None:
    """Both run at once, as on two hosts; each ends with the command line of an etcd of the same list."""
    found: dict[str, list[str]] = {}
    both = [member(tmp_path, name, urls) for name in urls]
    threads = [
        threading.Thread(target=lambda own=own: found.update({own.name: cli.decided(own)[1]}), daemon=True)
        for own in both
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    flags = {flag for words in found.values() for flag in words if flag.startswith("--initial-cluster=")}
    assert flags == {f"--initial-cluster=a={urls['a']},b={urls['b']}"}
    assert all("--initial-cluster-state=new" in words for words in found.values())
    # Nobody has ever come to this store without TLS.
    assert all(clients.has_mark(own.data_dir) for own in both)


def test_an_empty_member_of_a_live_cluster_takes_a_seat_in_it(
    tmp_path: Path, urls: dict[str, str], cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = member(tmp_path, "a", urls)
    clients.leave_mark(own.data_dir)
    live = [
        Member(12, "b", (urls["b"],), ("http://etcd:2379",)),
        Member(14, "c", ("https://10.0.0.9:2380",), ("https://etcd:2381",)),
    ]
    cluster.seats = [{"ID": 12, "name": "b", "peerURLs": [urls["b"]]}]
    cluster.refuses = ["context deadline exceeded"]
    real = peers.ask_all

    def answered(*words: Any) -> Any:
        return {**real(*words), "b": live}

    monkeypatch.setattr(peers, "ask_all", answered)
    start, words = cli.decided(own)
    assert start is Start.REJOIN
    assert "--initial-cluster-state=existing" in words
    assert f"--initial-cluster=a={urls['a']},b={urls['b']}" in words
    assert cluster.asked == ["list", "add"]
    # While members of the version before are there, clients go to one of two ports, first to that with TLS.
    assert cluster.at[:2] == ["https://etcd:2381", "http://etcd:2379"]
    # It may be an old store, whose clients come without TLS yet.
    assert not clients.has_mark(own.data_dir)


def test_a_member_with_data_goes_on_and_a_start_that_broke_off_is_named(
    tmp_path: Path, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = member(tmp_path, "a", urls)
    (own.data_dir / "member" / "wal").mkdir(parents=True)
    (own.data_dir / "member" / "wal" / "0.wal").touch()
    made: list[Sequence[str]] = []
    monkeypatch.setattr(alone, "settle", lambda argv, *_: made.append(argv))
    alone.leave_word(own.data_dir)
    for _ in range(2):
        assert "--force-new-cluster" not in cli.decided(own)[1]
    # Once: the word is gone when that start has come to its end.
    assert ["--force-new-cluster" in argv for argv in made] == [True]
    (own.data_dir / "member" / "wal" / "0.wal").unlink()
    by_itself = replace(own, peers={"a": urls["a"]})
    assert "--initial-cluster-state=new" in cli.decided(by_itself)[1]
    assert "an earlier start ended before its first write" in capsys.readouterr().err


def test_a_member_becomes_etcd_with_nothing_of_its_own_environment(
    tmp_path: Path, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    became: list[Any] = []
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(os, "execve", lambda *words: became.append(words))
    beside: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **_: beside.append(words))
    monkeypatch.setattr(cli, "decided", lambda _: (Start.RESUME, ["/usr/bin/etcd", "--name=a"]))
    own = member(tmp_path, "a", urls)
    for name, value in {
        "NODE_NAME": "a",
        "ETCD_INITIAL_CLUSTER": ",".join(f"{name}={url}" for name, url in urls.items()),
        "CLUSTER_TOKEN": "t",
        "SECRETS_DIR": str(own.secrets),
        "ETCD_DEBUG": "true",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        cli.main(["run"])
        ((program, words, environ),) = became
        assert (program, words) == ("/usr/bin/etcd", ["/usr/bin/etcd", "--name=a"])
        assert set(environ) == {"PATH", "GOMAXPROCS"}
        assert beside == [["/usr/local/bin/etcd-member", "keep", "resume"]]
        monkeypatch.setenv("CLUSTER_TOKEN", "")
        assert cli.main(["run"]) == 2
        assert "CLUSTER_TOKEN is not set" in capsys.readouterr().err
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_command_that_there_is_not_is_answered_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["forget"]) == cli.main(["start"]) == 2
    assert capsys.readouterr().err.count("usage: etcd-member run") == 2
