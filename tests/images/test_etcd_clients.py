"""Clients of real etcd members: TLS, users and their rights, and a store of before that comes over to them.

Owned here: who is let in, when. Left to others: the members themselves (test_etcd_processes.py), a node's
words when it is not let in (tests/unit/images/test_galera_node_wire.py).
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from harness.image_containers import Container, wait_for
from images.etcd.etcd_member.clients import MARK
from tests.images.store_access import ETCDCTL, Access
from tests.images.test_etcd_processes import Store, address, etcdctl, formed, until

MEMBERS = (1, 2, 3)
WRITER, PRESENT = "swarm-galera/galera/writer", "swarm-galera/galera/present/a"


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as made:
        yield made


def as_client(
    member: Container, files: Mapping[str, str], user: str, *words: str, at: str = "127.0.0.1"
) -> str:
    """What etcdctl says to a client with these files; the last line of its error otherwise."""
    here = member.here / "secrets"
    for name, text in files.items():
        (here / name).write_text(text)
    place = "/run/secrets"
    done = member.run(
        *("/usr/bin/env", "ETCDCTL_API=3", "/usr/bin/etcdctl", f"--endpoints=https://{at}:2381"),
        *(f"--cacert={place}/store-ca.crt", f"--cert={place}/store-client.crt"),
        *(f"--key={place}/store-client.key", "--command-timeout=5s"),
        *([f"--user={user}:{files['store-token']}"] if user else []),
        *words,
    )
    return (done.stdout if done.returncode == 0 else done.stderr).strip().rpartition("\n")[2]


def command(member: Container, word: str) -> subprocess.CompletedProcess[str]:
    return member.run("/usr/local/bin/etcd-member", word)


def lets_in(member: Container) -> str:
    return command(member, "clients").stdout.strip()


def has_users(*members: Container) -> None:
    """Waits until these let in users alone, and have done what they do for that: what is left of it when a
    file of theirs changes would be done with the former one.
    """
    for member in members:
        wait_for(
            lambda member=member: lets_in(member).startswith("users until 20"),  # type: ignore[misc]
            f"{member.name} lets in users alone",
            60,
        )
        wait_for(lambda member=member: (member.volume / MARK).exists(), f"the mark of {member.name}", 60)  # type: ignore[misc]


def plain(by: Container, number: int, *words: str) -> bool:
    """Whether a client of before gets this from a member."""
    at = f"--endpoints=http://{address(number)}:2379"
    return (
        by.run(
            "/usr/bin/env", "ETCDCTL_API=3", "/usr/bin/etcdctl", at, "--command-timeout=5s", *words
        ).returncode
        == 0
    )


def test_a_new_store_lets_in_users_alone_and_each_gets_what_it_is_for(store: Store) -> None:
    members = formed(store, *MEMBERS)
    first = members[0]
    has_users(*members)
    for key in (WRITER, PRESENT, "swarm-galera/galera/cluster", "other"):
        etcdctl(first, "put", key, "told")
    galera, consumer = store.access.files("galera"), store.access.files("consumer")
    denied = "Error: etcdserver: permission denied"
    assert as_client(first, galera, "galera", "put", WRITER, "galera") == "OK"
    assert as_client(first, galera, "galera", "get", "other") == denied
    assert as_client(first, consumer, "consumer", "get", "--print-value-only", WRITER) == "galera"
    assert as_client(first, consumer, "consumer", "get", "--print-value-only", PRESENT) == "told"
    assert as_client(first, consumer, "consumer", "get", "swarm-galera/galera/cluster") == denied
    assert as_client(first, consumer, "consumer", "put", WRITER, "mine") == denied
    assert as_client(first, consumer, "consumer", "user", "list") == denied
    # A certificate alone makes nobody a user, nor does a password without one of the stack's authority.
    assert as_client(first, galera, "", "get", WRITER) == denied
    assert "invalid user ID or password" in as_client(
        first, {**galera, "store-token": "x"}, "galera", "get", "x"
    )
    foreign = {**Access().files("galera"), "store-ca.crt": galera["store-ca.crt"]}
    assert "deadline exceeded" in as_client(first, foreign, "galera", "get", WRITER)
    # Without TLS there is nobody, on the network.
    assert not any(plain(first, number, "get", "x") for number in MEMBERS)
    assert all("are let in at port" not in member.log for member in members)
    assert first.stop() == 0
    first.start()
    store.healthy(1)
    has_users(first)
    assert not plain(members[1], 1, "get", "x")


def test_members_take_new_certificates_and_passwords_one_by_one(store: Store) -> None:
    members = formed(store, *MEMBERS)
    has_users(*members)
    etcdctl(members[0], "put", WRITER, "kept")
    before = store.access.files("galera")
    store.access = Access(store.access)
    store.access.passwords["galera"] = "another-77e0"
    store.roll([2], MEMBERS)
    has_users(members[1])
    wait_for(lambda: "set right: password of galera" in members[1].log, "the new password", 60)
    after = store.access.files("galera")
    # Each side has been changed or not: all four trust one another.
    old = {**before, "store-token": "another-77e0"}
    for member in members[:2]:
        for files in (old, after):
            said = as_client(member, files, "galera", "get", "--print-value-only", WRITER, at="127.0.0.1")
            assert said == "kept", (member.name, said)
    assert "invalid user ID or password" in as_client(members[0], before, "galera", "get", WRITER)
    store.roll([1, 3], MEMBERS)
    has_users(*members)
    assert as_client(members[2], after, "galera", "get", "--print-value-only", WRITER) == "kept"


NODE = """
import sys, time
from pathlib import Path
from images.galera.galera_node import stores
from images.galera.galera_node.network import Names
from images.galera.galera_node.store import Put
store = stores.made("etcd://localhost:2381", "galera", Path(sys.argv[1]), Names())
while True:
    store.commit({}, {"writer": Put("still")})
    time.sleep(0.1)
"""


@contextlib.contextmanager
def node_that_writes(member: Container) -> Iterator[Callable[[], None]]:
    """A node's own way to the store, beside a member, over one connection; waits until it writes (again)."""
    argv = ("ip", "netns", "exec", member.namespace, sys.executable, "-c", NODE, str(member.here / "secrets"))
    root = Path(__file__).parents[2]

    def times() -> int:
        found = json.loads(etcdctl(member, "get", "swarm-galera/galera/writer", "-w", "json"))
        return sum(each["version"] for each in found.get("kvs", ()))

    with subprocess.Popen(argv, cwd=root) as node:

        def writes() -> None:
            before = times()
            wait_for(lambda: times() > before, "a node that writes", 60)
            assert node.poll() is None

        yield writes
        node.kill()


class OldMember:
    """A member as the version before started it: clients without TLS, no users."""

    def __init__(self, member: Container, number: int) -> None:
        self.member, self._new = member, member.command
        peers = ",".join(f"galera-{n}=https://{address(n)}:2380" for n in MEMBERS)
        secrets = "/run/secrets/etcd-peer"
        member.command = (
            *("/usr/bin/env", "-i", "/usr/bin/etcd"),
            *(f"--name=galera-{number}", "--data-dir=/var/lib/etcd"),
            *(f"--initial-cluster={peers}", "--initial-cluster-state=new", "--initial-cluster-token=test"),
            f"--initial-advertise-peer-urls=https://{address(number)}:2380",
            *("--listen-peer-urls=https://0.0.0.0:2380", "--listen-client-urls=http://0.0.0.0:2379"),
            *("--advertise-client-urls=http://etcd:2379", "--peer-client-cert-auth"),
            *(f"--peer-trusted-ca-file={secrets}-ca.crt", f"--peer-cert-file={secrets}.crt"),
            *(f"--peer-key-file={secrets}.key", "--experimental-peer-skip-client-san-verification"),
            *("--logger=zap", "--log-outputs=stderr", "--log-level=warn"),
        )

    def renew(self, store: Store, number: int) -> None:
        """What the service's new version does to this host's task."""
        self.member.stop()
        self.member.command = self._new
        self.member.start()
        store.healthy(number)


def test_a_store_of_before_comes_over_member_by_member_and_then_its_clients(store: Store) -> None:
    store.certify(MEMBERS)
    members = [store.member(number, MEMBERS) for number in MEMBERS]
    first, second, third = members
    old = [OldMember(member, number) for number, member in zip(MEMBERS, members, strict=True)]
    for member in members:
        member.start()
    for number in MEMBERS:
        wait_for(lambda number=number: plain(first, number, "get", "x"), "the store of before", 60)  # type: ignore[misc]
    assert plain(first, 2, "put", "word", "kept")
    # The name leads to all of them, as a service's virtual IP does; the second one loses its data meanwhile.
    for member in members:
        names = "".join(f"{address(number)} etcd\n" for number in MEMBERS)
        (member.here / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
    second.kill()
    second.lose_volume()
    second.command = old[1]._new
    second.start()
    until(second, "rejoin: the cluster exists and this member has lost its data")
    wait_for(lambda: plain(first, 2, "get", "word"), "clients of before at the first new member", 90)
    # Those that have come over find it, too: with TLS, and as nobody for now.
    galera = store.access.files("galera")
    assert as_client(second, galera, "", "get", "--print-value-only", "word") == "kept"
    assert lets_in(second).startswith("clients need no user: an unfinished change")
    done = wait_for(lambda: command(second, "secure"), "an answer", 90)
    assert done.returncode == 1
    assert "galera-1, galera-3 still run an older image" in done.stderr
    for number in (3, 1):
        old[number - 1].renew(store, number)
        # Whichever member a client of before comes to, it is let in.
        for asked in MEMBERS:
            wait_for(lambda asked=asked: plain(first, asked, "get", "word"), f"member {asked} for it", 30)  # type: ignore[misc]
    assert plain(first, 3, "put", "word", "changed")
    with node_that_writes(second) as writes:
        writes()  # as nobody
        assert command(second, "secure").stdout.strip() == "clients are users from now on"
        has_users(*members)
        writes()
    for number in MEMBERS:
        assert not plain(first, number, "get", "word")
    assert [etcdctl(member, "get", "--print-value-only", "word") for member in members] == ["changed"] * 3
    assert command(first, "secure").stdout.strip() == "clients are users already"
    # Who turns them off by hand is told how they come back.
    for member in members:
        wait_for(lambda member=member: (member.volume / "users-only").exists(), "its mark", 30)  # type: ignore[misc]
    etcdctl(first, "auth", "disable")
    assert "somebody has turned users off" in lets_in(second)
    assert command(second, "secure").stdout.strip() == "clients are users from now on"
    has_users(*members)
    # For good: also of a member that starts anew.
    assert third.stop() == 0
    third.start()
    store.healthy(3)
    has_users(third)
    assert third.log.count("are let in at port") == 1


def test_root_is_let_in_by_its_certificate_from_a_container_of_the_store_alone(store: Store) -> None:
    (first,) = formed(store, 1)
    has_users(first)
    assert first.run(*ETCDCTL, "user", "list").stdout.split() == ["consumer", "galera", "root"]
    # Without a certificate that has no end, nobody is: what is wrong is one line.
    foreign = Access().member
    for name in ("etcd-root.crt", "etcd-root.key"):
        (first.here / "secrets" / name).write_text(foreign[name])
    assert lets_in(first).startswith("root is not let in: endpoint status at 127.0.0.1:2381")
