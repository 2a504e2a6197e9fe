"""Members of the key-value store as real etcd processes: who forms, who joins, who leaves, and what stays.

Owned here: the store's members alone, through growth, shrinking, replaced hosts and a replaced authority,
each as the stack does it: certificates from its own providers, one member after the other. Left to others:
what Galera makes of the store (test_galera_processes.py), the rules one by one (test_etcd_member.py).
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.peer_authority import PeerAuthorityProvider
from components.peer_certificates import PeerCertificatesProvider
from harness.image_containers import Container, Site, wait_for
from harness.image_roots import image_root
from images.etcd.etcd_member import settings
from images.etcd.etcd_member.peers import EmptySeat, context, members_at
from tests.images.store_access import ETCDCTL, READABLE, Access


class Store(Site):
    """Members `galera-1` … at 10.77.0.11 …, and the certificates as the stack's state has them."""

    def __init__(self) -> None:
        super().__init__({"etcd": image_root("etcd")})
        self.authority = new_authority()
        self.access = Access()
        self.certificates: dict[str, Any] = {}

    def certify(self, numbers: Sequence[int], *, anew: bool = False) -> None:
        """What `up` does to the certificates when the managers are these. anew: replaced by name."""
        provider = PeerCertificatesProvider()
        inputs = provider.check({}, inputs_for([address(n) for n in numbers], self.authority)).inputs
        if anew or not self.certificates:
            self.certificates = provider.create(inputs).outs or {}
        elif provider.diff("x", self.certificates, inputs).changes:
            self.certificates = provider.update("x", self.certificates, inputs).outs or {}

    def member(self, number: int, listed: Sequence[int], name: str = "") -> Container:
        """A member whose environment lists the members `listed`; not yet started."""
        made = self.add(
            f"etcd-{number}",
            "etcd",
            10 + number,
            user="998:998",
            volume_at="/var/lib/etcd",
            command=("/usr/local/bin/etcd-member", "run"),
            env={},
            secrets={},
            hosts="",
        )
        self.equip(made, listed, name or f"galera-{number}")
        self.point_clients()
        return made

    def equip(self, member: Container, listed: Sequence[int], name: str = "") -> None:
        """What a new version of the service brings: the list and the certificates, before a (re)start."""
        names = {n: f"galera-{n}" for n in listed}
        number = int(member.name.rpartition("-")[2])
        own = name or member.env["NODE_NAME"]
        names |= {number: own} if number in names else {}
        member.env = {
            "NODE_NAME": own,
            "ETCD_INITIAL_CLUSTER": ",".join(f"{names[n]}=https://{address(n)}:2380" for n in listed),
            "CLUSTER_TOKEN": "test",
            "READABLE": READABLE,
        }
        for file, text in {**files(self.certificates), **self.access.member}.items():
            (member.here / "secrets" / file).write_text(text)

    def roll(self, order: Sequence[int], listed: Sequence[int]) -> None:
        """A rolling update: one after the other, each healthy before the next one's turn."""
        for number in order:
            member = self.containers[f"etcd-{number}"]
            if member.running:
                member.stop()
            self.equip(member, listed)
            member.start()
            self.healthy(number)

    def healthy(self, *numbers: int) -> None:
        """Wait until these serve."""
        for number in numbers:
            member = self.containers[f"etcd-{number}"]
            wait_for(lambda member=member: serves(member), f"{member.name} serves", 120)  # type: ignore[misc]
        self.point_clients()

    def point_clients(self) -> None:
        """The name `etcd` leads to the members that serve."""
        serving = [c for c in self.containers.values() if c.running and serves(c)]
        for container in self.containers.values():
            lines = "".join(f"{c.address} etcd\n" for c in serving)
            (container.here / "hosts").write_text(f"127.0.0.1 localhost\n{lines}")

    def seats(self, number: int = 1) -> dict[str, bool]:
        """The cluster's seats as member `number` lists them: name to whether it has been taken."""
        listed = etcdctl(self.containers[f"etcd-{number}"], "member", "list", "-w", "json")
        return {m.get("name", ""): bool(m.get("clientURLs")) for m in json.loads(listed)["members"]}


def address(number: int) -> str:
    return f"10.77.0.{10 + number}"


def new_authority() -> dict[str, Any]:
    return PeerAuthorityProvider().create({"name": "etcd"}).outs or {}


def inputs_for(addresses: Sequence[str], authority: dict[str, Any]) -> dict[str, Any]:
    key = authority["private_key"]
    return {
        "name": "etcd",
        "addresses": addresses,
        "authority": authority["certificate"],
        "authority_key": key,
    }


def files(certificates: dict[str, Any]) -> dict[str, str]:
    """As the stack's secrets call them."""
    return {
        "etcd-peer-ca.crt": certificates["ca_certificate"],
        "etcd-peer.crt": certificates["certificate"],
        "etcd-peer.key": certificates["private_key"],
    }


def serves(member: Container) -> bool:
    """The image's own health check."""
    return member.run("/usr/local/bin/etcd-member", "health").returncode == 0


def etcdctl(member: Container, *words: str) -> str:
    done = member.run(*ETCDCTL, *words)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
    return done.stdout.strip()


def forget(by: Container, name: str) -> tuple[int, str]:
    done = by.run("/usr/local/bin/etcd-member", "forget", name)
    return done.returncode, (done.stdout + done.stderr).strip()


def until(member: Container, what: str, seconds: float = 120) -> None:
    wait_for(lambda: what in member.log, f"{member.name}: {what!r} in its log", seconds)


def alone(store: Store, member: Container) -> None:
    """Waits until it serves as the only one: the start that makes a cluster of it answers on the loopback."""
    until(member, "a cluster of one, with a snapshot behind entry")
    store.healthy(1)


def put(member: Container, value: str) -> None:
    etcdctl(member, "put", "word", value)


def word(member: Container) -> str:
    """Read with the word of a majority."""
    return etcdctl(member, "get", "--print-value-only", "word")


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as made:
        yield made


def formed(store: Store, *numbers: int) -> list[Container]:
    """Members of a cluster that has formed."""
    store.certify(numbers)
    members = [store.member(n, numbers) for n in numbers]
    for member in members:
        member.start()
    store.healthy(*numbers)
    return members


def test_the_first_formation_waits_until_every_member_has_been_heard(store: Store) -> None:
    store.certify([1, 2, 3])
    members = [store.member(n, [1, 2, 3]) for n in (1, 2, 3)]
    for member in members[:2]:
        member.start()
    # Two of three would be a majority, and nothing tells them that the third one has no data.
    until(members[0], "wait: the data directory is empty, and galera-3 might know of a cluster")
    until(members[1], "wait: the data directory is empty, and galera-3 might know of a cluster")
    assert not serves(members[0])
    members[2].start()
    store.healthy(1, 2, 3)
    assert store.seats() == {"galera-1": True, "galera-2": True, "galera-3": True}
    put(members[0], "one")
    assert [word(member) for member in members] == ["one"] * 3


def test_a_store_grows_from_three_to_five_and_shrinks_again_and_keeps_its_data(store: Store) -> None:
    first, second, third = formed(store, 1, 2, 3)
    put(first, "kept")
    cluster = json.loads(etcdctl(first, "member", "list", "-w", "json"))["header"]["cluster_id"]
    # New managers have a task before the service's new version names them.
    fourth, fifth = (store.member(n, [1, 2, 3]) for n in (4, 5))
    for new in (fourth, fifth):
        new.start()
        until(new, "wait: galera-")
        assert "is not among the members (galera-1, galera-2, galera-3)" in new.log
    store.certify([1, 2, 3, 4, 5])
    # The order is the swarm's. The first one to get the new certificate must not be alone with it.
    store.roll([2, 4, 1, 5, 3], [1, 2, 3, 4, 5])
    assert store.seats() == {f"galera-{n}": True for n in range(1, 6)}
    assert [word(member) for member in (first, fourth, fifth)] == ["kept"] * 3
    # Two leave: the seat first, while its vote still counts, then the container.
    for leaving in (fifth, fourth):
        name = leaving.env["NODE_NAME"]
        # A member that has just (re)started must have been connected for five seconds before a seat may go.
        wait_for(lambda name=name: forget(first, name) == (0, f"{name} has lost its seat"), name, 30)  # type: ignore[misc]
        wait_for(lambda leaving=leaving: not leaving.running, f"{leaving.name} has ended")  # type: ignore[misc]
        # Swarm starts it again until its host is drained: it stays out.
        leaving.start()
        wait_for(lambda leaving=leaving: not leaving.running, f"{leaving.name} has ended")  # type: ignore[misc]
    assert store.seats() == {"galera-1": True, "galera-2": True, "galera-3": True}
    assert forget(first, "galera-5") == (0, "galera-5 has no seat")
    store.certify([1, 2, 3])
    store.roll([3, 1, 2], [1, 2, 3])
    put(third, "and changed")
    assert [word(member) for member in (first, second, third)] == ["and changed"] * 3
    assert json.loads(etcdctl(second, "member", "list", "-w", "json"))["header"]["cluster_id"] == cluster


def test_new_members_form_nothing_while_the_one_with_data_is_away(store: Store) -> None:
    (first,) = formed(store, 1)
    put(first, "old")
    first.stop()
    # Two of three are a majority of the new list, and both are empty.
    store.certify([1, 2, 3])
    second, third = (store.member(n, [1, 2, 3]) for n in (2, 3))
    second.start()
    third.start()
    until(second, "wait: the data directory is empty, and galera-1 might know of a cluster")
    until(third, "wait: the data directory is empty, and galera-1 might know of a cluster")
    assert not (second.volume / "member").exists()
    store.equip(first, [1, 2, 3])
    first.start()
    until(second, "rejoin: the cluster exists and has no seat for this member")
    store.healthy(1)
    store.healthy(2, 3)
    assert store.seats() == {"galera-1": True, "galera-2": True, "galera-3": True}
    assert word(third) == "old"


def test_a_replaced_host_takes_over_the_seat_of_its_name(store: Store) -> None:
    members = formed(store, 1, 2, 3)
    put(members[0], "kept")
    members[2].kill()
    # The same name on another machine with another address; the list says where it is now.
    store.certify([1, 2, 4])
    replacement = store.member(4, [1, 2, 4], name="galera-3")
    replacement.start()
    until(replacement, "rejoin: the cluster exists and this member has lost its data")
    store.healthy(1, 2, 4)
    assert store.seats() == {"galera-1": True, "galera-2": True, "galera-3": True}
    assert word(replacement) == "kept"


def test_hosts_that_came_anew_with_each_other_s_addresses_wait_for_the_service_to_learn_it(
    store: Store,
) -> None:
    first, second, third = formed(store, 1, 2, 3)
    put(first, "kept")
    for member in (second, third):
        member.kill()
        member.lose_volume()
    code, _ = wait_for(lambda: (done := force(first))[0] == 0 and done, "the word left", 90)  # type: ignore[misc]
    assert code == 0
    wait_for(lambda: not first.running, "its end", 60)
    first.start()
    store.healthy(1)
    # Host galera-3 is where galera-2 has been, and the other way round; the service does not know yet.
    for member, name in ((second, "galera-3"), (third, "galera-2")):
        member.env = {**member.env, "NODE_NAME": name}
        member.start()
    for member in (second, third):
        until(member, "does not lead here")
    assert store.seats() == {"galera-1": True}
    names = {2: "galera-3", 3: "galera-2"}
    listed = f"galera-1=https://{address(1)}:2380,galera-3=https://{address(2)}:2380"
    listed += f",galera-2=https://{address(3)}:2380"
    for number, member in ((1, first), (2, second), (3, third)):
        member.stop()
        member.env = {
            **member.env,
            "ETCD_INITIAL_CLUSTER": listed,
            "NODE_NAME": names.get(number, "galera-1"),
        }
        member.start()
        store.healthy(number)
    assert store.seats() == {"galera-1": True, "galera-2": True, "galera-3": True}
    assert [word(member) for member in (first, second, third)] == ["kept"] * 3


def test_members_go_over_to_another_authority_one_by_one(store: Store) -> None:
    members = formed(store, 1, 2, 3)
    put(members[0], "kept")
    store.authority = new_authority()
    store.certify([1, 2, 3])
    store.roll([2], [1, 2, 3])
    # The first one with new files is alone with them, and serves with the word of a majority: so it is heard.
    members[0].stop()
    assert word(members[1]) == "kept"
    members[0].start()
    store.healthy(1)
    # The run is killed here, and the next one has another manager, too: both authorities go on to be trusted.
    store.certify([1, 2, 3, 4])
    assert store.certificates["ca_certificate"].count("BEGIN") == 2
    store.roll([1, 3], [1, 2, 3])
    # A member that comes with only the new authority's word still finds all others.
    store.certify([1, 2, 3, 4], anew=True)
    assert store.certificates["ca_certificate"].count("BEGIN") == 1
    store.member(4, [1, 2, 3, 4]).start()
    store.healthy(4)
    assert word(store.containers["etcd-4"]) == "kept"


def test_a_member_that_waits_holds_nobody_back_and_stops_at_once(store: Store) -> None:
    store.certify([1, 2])
    member = store.member(1, [1, 2])
    member.start()
    until(member, "galera-2 might know of a cluster")
    code, said = forget(member, "galera-2")
    assert code == 0
    assert "no cluster answers" in said
    assert member.stop() == 128 + 15


def test_a_seat_is_not_taken_away_without_a_majority(store: Store) -> None:
    first, second, _third = formed(store, 1, 2, 3)
    second.kill()
    store.containers["etcd-3"].kill()
    code, said = forget(first, "galera-3")
    assert code == 1
    assert "the seat of galera-3 cannot be taken away" in said


def force(member: Container) -> tuple[int, str]:
    done = member.run("/usr/local/bin/etcd-member", "force-new-cluster")
    return done.returncode, (done.stdout + done.stderr).strip()


def test_the_last_one_of_three_goes_on_alone_with_all_records(store: Store) -> None:
    first, second, third = formed(store, 1, 2, 3)
    put(first, "kept")
    third.kill()
    assert force(first) == (0, "the store has its majority: nothing is to be forced")
    assert not (first.volume / "force-new-cluster").exists()
    second.kill()
    code, said = force(first)
    assert code == 0, said
    assert "goes on alone with all records" in said
    wait_for(lambda: not first.running, "the member's end")
    first.start()
    alone(store, first)
    assert (store.seats(), word(first)) == ({"galera-1": True}, "kept")
    put(first, "alone")
    # The word was for one start: the next one keeps whoever has joined meanwhile.
    assert first.stop() == 0
    first.start()
    store.healthy(1)
    # Members of before are told that they have no part any more, though the two of them were a majority.
    second.start()
    third.start()
    for member in (second, third):
        wait_for(lambda member=member: not member.running, f"{member.name} has ended")  # type: ignore[misc]
        member.lose_volume()
        member.start()
        until(member, "rejoin: the cluster exists and has no seat for this member")
    store.healthy(1, 2, 3)
    assert [word(member) for member in (first, second, third)] == ["alone"] * 3


def test_a_host_that_comes_back_alone_goes_on_alone_too(store: Store) -> None:
    first, second, third = formed(store, 1, 2, 3)
    # Twice: that a write was committed gets to a member's disk with the next one only, and a member that goes
    # on alone drops what it does not know as committed.
    put(first, "kept")
    put(first, "kept")
    for member in (first, second, third):
        member.kill()
    first.start()
    until(first, "resume: the data directory holds a member")
    # Without a majority it serves nobody. With one, nothing is to be forced.
    second.start()
    wait_for(lambda: "its majority" in force(first)[1], "the two of them found")
    for member in (first, second):
        member.kill()
    first.start()
    code, said = wait_for(lambda: (done := force(first))[0] == 0 and done, "the word left", 90)  # type: ignore[misc]
    assert (code, "goes on alone" in said) == (0, True)
    # It has not heard the signal: what starts without a majority does not listen yet.
    if first.running:
        first.kill()
    first.start()
    alone(store, first)
    assert (store.seats(), word(first)) == ({"galera-1": True}, "kept")


def revisions(member: Container) -> list[tuple[str, str, int, int]]:
    """All keys as this member alone has them: key, value, revisions of its making and of its last change."""
    listed = json.loads(etcdctl(member, "get", "", "--prefix", "--consistency=s", "-w", "json"))
    return [
        (kv["key"], kv.get("value", ""), kv["create_revision"], kv["mod_revision"])
        for kv in listed.get("kvs", [])
    ]


def test_members_that_join_one_that_went_on_alone_have_its_records_and_revisions(store: Store) -> None:
    """The last write had been applied, and that it was committed had not got to the disk: etcd drops it from
    its log and keeps what it has done. Replayed elsewhere, all later revisions would differ, and with them
    what a write on a condition does: one store with two contents."""
    first, second, third = formed(store, 1, 2, 3)
    put(first, "one")
    put(first, "two")
    time.sleep(1)  # etcd writes what it has applied to the disk every 100 ms
    for member in (first, second, third):
        member.kill()
    first.start()
    until(first, "resume: the data directory holds a member")
    assert wait_for(lambda: (done := force(first))[0] == 0 and done, "the word left", 90)
    if first.running:
        first.kill()
    first.start()
    alone(store, first)
    assert (store.seats(), word(first)) == ({"galera-1": True}, "two")
    put(first, "three")
    for member in (second, third):
        member.lose_volume()
        member.start()
        store.healthy(int(member.name[-1]))
    put(third, "four")
    wait_for(lambda: word(second) == "four", "the write everywhere")
    assert revisions(second) == revisions(first)
    assert revisions(third) == revisions(first)


def test_a_member_takes_no_seat_but_another_s(store: Store) -> None:
    (first,) = formed(store, 1)
    code, said = forget(first, "galera-1")
    assert code == 1
    assert "is this member itself" in said
    assert store.seats() == {"galera-1": True}


def test_an_empty_member_answers_its_peers_and_nobody_else(tmp_path: Path) -> None:
    def peer(folder: str, authority: dict[str, Any]) -> settings.Settings:
        inputs = inputs_for(["127.0.0.1"], authority)
        here = tmp_path / folder
        here.mkdir()
        for name, text in files(PeerCertificatesProvider().create(inputs).outs or {}).items():
            (here / name).write_text(text)
        urls = {"a": "https://127.0.0.1:23801", "b": "https://127.0.0.1:23802"}
        return settings.Settings("a", urls, "t", secrets=here, listen="127.0.0.1")

    ours = new_authority()
    one, other, stranger = peer("one", ours), peer("other", ours), peer("stranger", new_authority())
    seat = EmptySeat(one)
    try:
        url = one.peers["a"]
        assert members_at(url, "b", context(stranger, ssl.PROTOCOL_TLS_CLIENT)) is None
        assert seat.answers() == {"b": None}
        assert members_at(url, "z", context(other, ssl.PROTOCOL_TLS_CLIENT)) == []
        assert seat.answers() == {"b": None}
        assert members_at(url, "b", context(other, ssl.PROTOCOL_TLS_CLIENT)) == []
        assert seat.asked.is_set()
        # Whoever has asked is empty, although it answers nothing itself.
        assert seat.answers() == {"b": []}
    finally:
        seat.close()
    assert members_at(one.peers["a"], "b", context(other, ssl.PROTOCOL_TLS_CLIENT)) is None
