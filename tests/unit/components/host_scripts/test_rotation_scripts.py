"""Scripts of rotations: what is waited for, and that no secret is on a command line or in an error."""

from __future__ import annotations

import http.client
import http.server
import io
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.host_scripts import gossip_key, passwords, swarm
from components.host_scripts.account import stored
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

NEW, OLD = stored("new"), stored("old")
OVERLAP = passwords.OVERLAP
ROOT = Path(__file__).parents[4]
SUBNET = "10.20.0.0/24"
NETWORK = "10.20.0.0/255.255.255.0"


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (passwords, gossip_key):
        monkeypatch.setattr(module, "PATIENCE", 1)


def priv(*hashes: str) -> str:
    """As MariaDB keeps an account with these."""
    ways = [{"plugin": "mysql_native_password", "authentication_string": each} for each in hashes]
    return json.dumps({"access": 0, **ways[0], "auth_or": [*ways[1:], {}] if len(ways) > 1 else None})


def accounts(host: FakeHost, *hashes: str, root: tuple[str, ...] = ()) -> None:
    """What the database has of the cluster's own accounts, and of one that is nobody's business here."""
    rows = [
        ("root", "localhost", *(root or hashes)),
        ("root", NETWORK, *(root or hashes)),
        ("monitor", "%", *hashes),
        ("shop", "%", *hashes),
        ("shop_web", "%", stored("another")),
    ]
    host.file("rows", "".join(f"{user}\t{at}\t{priv(*known)}\n" for user, at, *known in rows))


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("sleep")
    made.program(
        "docker",
        """
case $1 in
  ps) [[ -e $host/gone ]] || echo c1 ;;
  exec) cat >/dev/null; [[ ! -e $host/silent ]] || { echo "ERROR 2002"; exit 1; }; cat "$host/rows"
    if [[ -e $host/later ]]; then mv "$host/later" "$host/rows"; fi ;;
esac""",
    )
    return made


def counted(host: FakeHost, *words: str) -> Ran:
    """The wait for these passwords of all users."""
    told = passwords.lines(dict.fromkeys(("root", "monitor", "app"), words), "shop", SUBNET)
    return host.run(passwords.count("galera"), told)


def test_accounts_that_have_just_these_passwords_are_not_waited_for(host: FakeHost) -> None:
    accounts(host, NEW, OLD, OVERLAP)
    for words in (("new", "old"), ("old", "new")):
        ran = counted(host, *words)
        assert ran.code == 0, ran.err
    accounts(host, NEW)
    assert counted(host, "new").code == 0


@pytest.mark.parametrize(
    ("has", "wanted"),
    [
        ((OLD,), ("new", "old")),
        ((NEW, OLD, OVERLAP), ("new",)),
        ((NEW,), ("new", "old")),
        ((OLD,), ("new",)),
        # A person's own: the nodes have not come to it yet.
        ((NEW, OLD), ("new", "old")),
        ((NEW, OLD, stored("third"), OVERLAP), ("new", "old")),
    ],
)
def test_accounts_with_fewer_or_more_are_named_without_what_they_have(
    host: FakeHost, has: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    accounts(host, *has, root=(*map(stored, wanted), *[OVERLAP] * (len(wanted) > 1)))
    ran = counted(host, *wanted)
    assert ran.code == 1
    assert "not yet: monitor@% shop@%" in ran.err
    assert "They get in as before. Remedy: all members must be there" in ran.err
    assert not [word for word in (NEW, OLD) if word in ran.err + ran.out or word in "\n".join(ran.calls)]


def test_they_are_waited_for_and_a_node_that_is_away_is_asked_again(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "PATIENCE", 30)
    accounts(host, NEW, OLD, OVERLAP)
    (host.folder / "rows").rename(host.folder / "later")
    accounts(host, OLD)
    ran = counted(host, "new", "old")
    assert ran.code == 0, ran.err
    assert "not yet: root@localhost" in ran.err
    monkeypatch.setattr(passwords, "PATIENCE", 1)
    host.file("silent", "")
    assert "ERROR 2002" in counted(host, "new", "old").err
    host.file("gone", "")
    assert "no container of galera runs here" in counted(host, "new", "old").err


def test_an_account_that_somebody_has_dropped_is_not_waited_for(host: FakeHost) -> None:
    accounts(host, NEW)
    rows = (host.folder / "rows").read_text().splitlines(keepends=True)
    host.file("rows", "".join(row for row in rows if not row.startswith("monitor")))
    assert counted(host, "new").code == 0


def test_a_password_that_a_person_has_put_beside_ours_is_not_waited_for_to_go(host: FakeHost) -> None:
    """The nodes leave it, too: see the test of `Account.holds`."""
    accounts(host, NEW, stored("of a person"))
    assert counted(host, "new").code == 0


def test_the_mark_of_a_former_password_is_the_nodes_one() -> None:
    text = (ROOT / "images/galera/galera_node/accounts.py").read_text()
    assert f'OVERLAP = "{OVERLAP}"' in text


# -- the gossip key

KEY = "bmV3IGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzLi4="
ENGINE = """
case "$1 $2" in
  "service ls") [[ ! -e $host/leaderless ]] || { echo "The swarm does not have a leader." >&2; exit 1; }
    echo consul-ui; [[ -e $host/none ]] || echo consul ;;
  "ps -q") [[ -e $host/gone ]] || echo c1 ;;
  "exec -u") cat >>"$host/given"
    [[ ! -e $host/down ]] || { echo "1/4 nodes reported failure"; exit 1; } ;;
esac
"""


@pytest.fixture
def member(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("sleep")
    made.program("docker", ENGINE)
    return made


def test_the_key_reaches_a_member_over_standard_input_alone(member: FakeHost) -> None:
    ran = member.run(gossip_key.in_use("consul"), f"{KEY}\n")
    assert ran.code == 0, ran.err
    assert (member.folder / "given").read_text() == f"{KEY}\n"
    assert not [call for call in ran.calls if KEY in call]
    assert KEY not in ran.out + ran.err


def test_a_service_that_is_not_there_starts_with_the_key(member: FakeHost) -> None:
    member.file("none", "")
    ran = member.run(gossip_key.in_use("consul"), f"{KEY}\n")
    assert ran.code == 0
    assert not [call for call in ran.calls if "exec" in call]


def test_a_swarm_that_does_not_say_which_services_it_has_is_no_swarm_without_the_service(
    member: FakeHost,
) -> None:
    """Else members would start that know no other key, one by one, among those that do not know it."""
    member.file("leaderless", "")
    ran = member.run(gossip_key.in_use("consul"), f"{KEY}\n")
    assert ran.code == 1
    assert "whether consul runs is not known: The swarm does not have a leader" in ran.err
    assert not [call for call in ran.calls if "exec" in call]


def test_members_that_do_not_take_the_key_keep_the_service_as_it_is(member: FakeHost) -> None:
    member.file("down", "")
    ran = member.run(gossip_key.in_use("consul"), f"{KEY}\n")
    assert ran.code == 1
    assert "not all members of consul have taken the new key: 1/4 nodes reported failure" in ran.err
    assert "They go on with the former one. Remedy: bring back who is down" in ran.err


class Keyring(http.server.BaseHTTPRequestHandler):
    """Consul's endpoint, as far as the program asks it."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        calls: list[Any] = self.server.calls  # type: ignore[attr-defined]
        calls.append((self.command, self.path, asked, self.headers["X-Consul-Token"]))
        status, words = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(words.encode())

    do_PUT = do_POST  # noqa: N815 - as the library names it

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def agent(status: int = 200, words: str = "") -> Iterator[Any]:
    """An agent without TLS: what the program says of that is another matter."""
    with http.server.HTTPServer(("127.0.0.1", 0), Keyring) as server:
        server.calls, server.answer = [], (status, words)  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def carried_out(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the program that runs in a member's container ends with; empty if all is well."""
    (tmp_path / "consul-management-token").write_text("a-token\n")
    connection = http.client.HTTPConnection
    port = server.server_address[1]
    monkeypatch.setattr(http.client, "HTTPSConnection", lambda host, _, **__: connection(host, port))

    class NoTls:
        def load_cert_chain(self, *_: str) -> None:
            """Nothing."""

    monkeypatch.setattr(ssl, "create_default_context", lambda **_: NoTls())
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    text = gossip_key.PROGRAM.replace('"/run/secrets/"', repr(f"{tmp_path}/"))
    try:
        exec(compile(text, "gossip", "exec"), {})  # noqa: S102 - it is the text that runs there
    except SystemExit as ended:
        return str(ended.code)
    return ""


def test_the_key_is_known_by_all_before_it_is_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with agent() as server:
        assert carried_out(server, tmp_path, monkeypatch) == ""
    path, asked = "/v1/operator/keyring", {"Key": KEY}
    assert server.calls == [("POST", path, asked, "a-token"), ("PUT", path, asked, "a-token")]


def test_a_member_that_does_not_know_it_keeps_it_from_being_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with agent(500, f"1/4 nodes reported failure ({KEY})") as server:
        assert carried_out(server, tmp_path, monkeypatch) == "1/4 nodes reported failure (…)"
    assert [call[0] for call in server.calls] == ["POST"]


# -- join tokens

TOKENS = """
cd "$host"
case "$*" in
  "swarm join-token"*)
    [[ ! -e leaderless ]] || { echo "Error: The swarm does not have a leader. SWMTKN-1-x" >&2; exit 1; }
    role=${!#}
    [[ $* != *--rotate* ]] || echo "SWMTKN-1-new-$role" >"$role"
    cat "$role" ;;
esac
"""


def token_host(folder: Path) -> FakeHost:
    made = FakeHost(folder)
    made.program("docker", TOKENS)
    made.program("sleep")
    for role in ("manager", "worker"):
        made.file(role, f"SWMTKN-1-old-{role}\n")
    return made


def test_tokens_are_read_or_rotated_and_told_as_json(tmp_path: Path) -> None:
    made = token_host(tmp_path / "host")
    ran = made.run(swarm.tokens(rotate=False))
    assert json.loads(ran.out) == {"manager": "SWMTKN-1-old-manager", "worker": "SWMTKN-1-old-worker"}
    assert "rotated" not in ran.err
    ran = made.run(swarm.tokens(rotate=True))
    assert json.loads(ran.out) == {"manager": "SWMTKN-1-new-manager", "worker": "SWMTKN-1-new-worker"}
    assert "the join tokens were rotated" in ran.err
    assert "SWMTKN" not in ran.err + "".join(ran.calls)
    again = made.run(swarm.tokens(rotate=False))
    assert again.out == ran.out


def test_a_swarm_that_tells_no_token_is_an_error_without_one(tmp_path: Path) -> None:
    made = token_host(tmp_path / "host")
    made.file("leaderless", "")
    for rotate in (False, True):
        ran = made.run(swarm.tokens(rotate=rotate))
        assert ran.code == 1
        assert "does not tell its join token of a manager" in ran.err
        assert "Remedy: bring a majority of the managers back" in ran.err
        assert "SWMTKN" not in ran.err
        assert ran.out == ""
