"""Members of Consul as real processes: who forms, who is let in, who leaves, and what stays.

Owned here: the store's members alone, as the stack's service runs them, and Galera's way to them. Left to
others: what Galera makes of the store (test_galera_outages.py and others), the rules one by one
(test_consul_member.py).
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.certificates import Signed
from components.host_scripts import gossip_key
from harness.image_containers import Container, Site, wait_for
from harness.image_roots import image_root
from tests.images.consul_site import (
    AGENT,
    CONSUMER,
    GALERA,
    LONG_AGO,
    TOKENS,
    Authority,
    add_consul,
    address,
    ask,
    client_secrets,
    consul,
    environment,
    formed,
    leader,
    member_secrets,
    resolved,
    serves,
)

pytestmark = pytest.mark.images

CHECKOUT = Path(__file__).parents[2]
HEALTH = ("/usr/local/bin/consul-member", "health")
KEY = "/v1/kv/swarm-galera/test/key"
SERVICES = [
    {"name": "answers", "port": 8300, "check": {"tcp": "{address}:8300", "interval": "1s"}},
    {"name": "silent", "port": 9, "check": {"tcp": "{address}:9", "interval": "1s"}, "hosts": ["galera-1"]},
]


class Members(Site):
    """Members `galera-1` … at 10.77.0.11 …, with certificates of one authority."""

    def __init__(self) -> None:
        super().__init__({"consul": image_root("consul")})
        self.authority = Authority()
        self.secrets = member_secrets(self.authority, [address(n) for n in range(1, 6)])

    def add_member(
        self, number: int, listed: Sequence[int], servers: int, secrets: Mapping[str, str] | None = None
    ) -> Container:
        return add_consul(self, number, {**self.secrets, **(secrets or {})}, listed, servers)

    def all_started(self, listed: Sequence[int], servers: int, **secrets: str) -> list[Container]:
        """These members, formed."""
        members = [self.add_member(number, listed, servers, secrets) for number in listed]
        for member in members:
            member.start()
        formed(members)
        return members

    def talk(
        self, what: str, secrets: Mapping[str, str] | None = None, client: Signed | None = None, at: int = 1
    ) -> dict[str, Any]:
        """What Galera's way to the store and the agent of member `at` say to one another (store_talk.py)."""
        folder = self.folder / "talk"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shown = client_secrets(self.authority, client or self.authority.client()) | dict(secrets or {})
        for name, text in shown.items():
            (folder / name).write_text(text)
        namespace = self.containers[f"consul-{at}"].namespace
        words = ["-m", "tests.images.store_talk", what, f"consul://{address(at)}:8501", str(folder)]
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, sys.executable, *words],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def site() -> Iterator[Members]:
    with Members() as made:
        yield made


def led(members: Sequence[Container]) -> str:
    """Waits until these agree on a leader among them; its address."""

    def agreed() -> str:
        said = {leader(each) for each in members}
        found = said.pop()
        return found if not said and found.partition(":")[0] in {each.address for each in members} else ""

    return wait_for(agreed, "one leader", 60).partition(":")[0]


def voters(member: Container) -> set[str]:
    """Names of the servers that have a vote, as the leader has it."""
    status, answer = ask(member, "/v1/operator/raft/configuration")
    if status != 200:
        raise OSError(answer)
    return {each["Node"] for each in answer["Servers"] if each["Voter"]}


def alive(member: Container) -> set[str]:
    """Names of the members that this one takes for alive."""
    return {each["Name"] for each in ask(member, "/v1/agent/members")[1] if each["Status"] == 1}


def value(member: Container) -> Any:
    """What the record of the tests holds, as the leader has it. OSError without one."""
    status, answer = ask(member, f"{KEY}?raw&consistent")
    if status == 500:
        raise OSError(answer)
    return answer


def test_members_form_and_everybody_may_do_what_its_token_says(site: Members) -> None:
    members = site.all_started(range(1, 5), 3, **{"services.json": json.dumps(SERVICES)})
    agent = members[3]
    assert alive(agent) == {"galera-1", "galera-2", "galera-3", "galera-4"}
    assert voters(members[0]) == {"galera-1", "galera-2", "galera-3"}
    assert "galera-4" in consul(agent, "members")
    assert all(
        member.run("/usr/bin/id", "-u").stdout == "997\n" for member in members
    )  # port 53 without root

    assert ask(agent, KEY, "PUT", "x", token=GALERA) == (200, True)
    assert ask(agent, "/v1/kv/others", "PUT", "x", token=GALERA)[0] == 403
    assert ask(agent, "/v1/acl/tokens", token=GALERA)[0] == 403
    wait_for(lambda: "answers" in ask(agent, "/v1/catalog/services")[1], "the services", 30)
    for token in (CONSUMER, AGENT, ""):
        assert ask(agent, KEY, "PUT", "y", token=token)[0] == 403
        assert ask(agent, KEY, token=token)[0] in (403, 404)
        assert "answers" in ask(agent, "/v1/catalog/services", token=token)[1]
    assert ask(agent, "/v1/catalog/services", token="00000000-0000-0000-0000-00000000000f")[0] == 403
    register = "/v1/agent/service/register"
    assert ask(agent, register, "PUT", {"Name": "db"}, token=CONSUMER)[0] == 403
    assert ask(agent, register, "PUT", {"Name": "silent"}, token=GALERA)[0] == 403
    with pytest.raises(OSError, match="CERTIFICATE_REQUIRED"):
        ask(agent, KEY, certificate="")

    # Names: only of what passes its check. On 4, an agent, nothing listens at the servers' port.
    servers = [address(n) for n in range(1, 4)]
    wait_for(lambda: resolved(agent, "answers.service.consul") == servers, "names of what answers", 30)
    assert resolved(agent, "silent.service.consul", agent.address) == []
    assert resolved(members[0], "galera-4.node.consul", agent.address) == [agent.address]


def primary(member: Container) -> set[str]:
    """Keys that any member speaks with, as this one hears it."""
    status, rings = ask(member, "/v1/operator/keyring")
    if status != 200:
        raise OSError(rings)
    return {key for ring in rings for key in ring["PrimaryKeys"]}


def test_members_go_over_to_another_gossip_key_one_by_one_and_lose_nobody(site: Members) -> None:
    """What host_scripts/gossip_key.sh has run in a member's container, and the service's change after it."""
    members = site.all_started(range(1, 5), 3)
    everybody = {f"galera-{n}" for n in range(1, 5)}
    former = TOKENS["consul-gossip-key"]
    new = base64.b64encode(b"another key, and 32 bytes of it.").decode()

    def spoken(by: Container) -> subprocess.CompletedProcess[str]:
        given = 'printf "%s\\n" "$1" | /usr/bin/python3 -ISc "$2"'
        return by.run("/bin/sh", "-c", given, "sh", new, gossip_key.PROGRAM)

    def starts_anew(member: Container) -> None:
        (member.here / "secrets" / "consul-gossip-key").write_text(new)
        member.start()
        wait_for(lambda: all(alive(each) == everybody for each in members), "all by all", 90)

    # Who is down hears nothing of it, and comes back in a new container, with the new key alone.
    members[3].kill()
    wait_for(lambda: alive(members[0]) == everybody - {"galera-4"}, "the death of one", 60)
    for _ in range(2):  # once more is no harm
        done = spoken(members[1])
        assert done.returncode == 0, done.stdout + done.stderr
    assert primary(members[0]) == {new}
    starts_anew(members[3])
    # The service's change: each of the others starts with the new key, and knows no other.
    for member in members[:3]:
        assert member.stop() == 0
        starts_anew(member)
    assert led(members[:3])
    _, rings = ask(members[0], "/v1/operator/keyring")
    assert former not in {key for ring in rings for key in ring["Keys"]}


def test_strangers_are_not_let_in_and_hear_why(site: Members) -> None:
    [member] = site.all_started([1], 1)
    foreign = Authority()
    expired = site.authority.client(LONG_AGO)
    assert (
        "does not know the token"
        in site.talk("refusal", {"store-token": TOKENS["store-token"][:-1] + "9"})["error"]
    )
    assert (
        "denies this node's token what it needs" in site.talk("refusal", {"store-token": CONSUMER})["error"]
    )
    assert "it expired on" in site.talk("refusal", client=expired)["error"]
    assert "refuses this node's certificate" in site.talk("refusal", client=foreign.client())["error"]
    told = site.talk("refusal", {"store-ca.crt": foreign.certificate})["error"]
    assert "shows a certificate that the stack's authority (secret store-ca.crt) has not signed" in told
    assert site.talk("refusal") == {"read": {}}

    # Members: with another gossip key, or certificates of another authority.
    other_key = {"consul-gossip-key": "b" * 43 + "="}
    other_authority = member_secrets(foreign, [address(3)])
    for number, secrets in ((2, other_key), (3, other_authority)):
        stranger = site.add_member(number, [1, 2, 3], 1, secrets)
        stranger.start()
        wait_for(lambda s=stranger: "ERROR" in s.log or "failed" in s.log, "it is turned away", 60)  # type: ignore[misc]
    assert alive(member) <= {"galera-1", "galera-3"}
    assert "galera-2" not in alive(member)
    nodes = {each["Node"] for each in ask(member, "/v1/catalog/nodes")[1]}
    assert nodes <= {"galera-1", "galera-3"}
    assert not serves(site.containers["consul-2"])
    assert not serves(site.containers["consul-3"])
    wait_for(lambda: "another gossip key" in site.containers["consul-2"].log, "what that may be", 60)

    # One whose own certificate is of another authority, or has expired.
    late = member_secrets(site.authority, [address(5)], LONG_AGO)
    for number, secrets, words in (
        (4, {**other_authority, "consul-ca.crt": site.secrets["consul-ca.crt"]}, "has signed for it"),
        (5, late, "consul.crt expired on"),
    ):
        stranger = site.add_member(number, [1, 2, 3, 4, 5], 1, secrets)
        stranger.start()
        wait_for(lambda s=stranger, w=words: w in s.log, words, 60)  # type: ignore[misc]
        assert "Remedy: `pulumi up`" in stranger.log
        assert not serves(stranger)


def test_galera_s_records_and_sessions_are_kept_as_the_nodes_rely_on(site: Members) -> None:
    site.all_started(range(1, 4), 3)
    found = site.talk("records", at=2)
    assert found == {
        "empty": {},
        "made": True,
        "made twice": False,
        "changed": True,
        "changed late": False,
        "both": {"bootstrap": ["a", False], "cluster": ["two", False], "present/a": ["now", True]},
        "one left": {"cluster": "two", "present/a": "now"},
        "none left": {"cluster": "two"},
    }
    ended = site.talk("expiry", at=3)
    assert 15 < ended["lived"] < 35  # of 20 s
    assert "has expired" in ended["said"]
    assert ended["left"] == ["cluster"]


def test_a_server_that_dies_or_loses_its_disk_comes_back_to_the_same_records(site: Members) -> None:
    members = site.all_started(range(1, 4), 3)
    assert ask(members[0], KEY, "PUT", 1)[1] is True
    first = led(members)
    dead = next(each for each in members if each.address == first)
    others = [each for each in members if each is not dead]
    dead.kill()
    led(others)
    wait_for(lambda: value(others[0]) == 1, "the records", 30)
    assert voters(others[0]) == {"galera-1", "galera-2", "galera-3"}  # it keeps its vote
    dead.lose_volume()
    dead.start()
    formed(members)
    wait_for(lambda: voters(others[0]) == {"galera-1", "galera-2", "galera-3"}, "its vote", 60)
    wait_for(lambda: ask(dead, f"{KEY}?raw&stale")[1] == 1, "its own copy", 30)
    ids = {each["Node"]: each["ID"] for each in ask(others[0], "/v1/catalog/nodes")[1]}
    own = (dead.volume / "node-id").read_text().strip()
    wait_for(lambda: own in str(ask(others[0], "/v1/catalog/nodes")[1]), f"its new entry ({ids})", 60)

    # An orderly stop of the leader: it hands over, and nobody waits for an election.
    leading = next(each for each in members if each.address == led(members))
    assert leading.stop() == 0
    led([each for each in members if each is not leading])


def test_servers_become_more_and_fewer_with_all_records(site: Members) -> None:
    first = site.all_started([1], 1)[0]
    assert ask(first, KEY, "PUT", 1)[1] is True
    members = [first]
    for number in (2, 3):
        members.append(site.add_member(number, [1, 2, 3], 3))
        members[-1].start()
    first.stop()
    first.env = environment(1, [1, 2, 3], 3)
    first.start()
    formed(members)
    wait_for(lambda: voters(first) == {"galera-1", "galera-2", "galera-3"}, "three votes", 60)
    assert value(members[2]) == 1

    # Down to one: votes are taken away while their owners still count, entries once these are gone.
    for member in members[1:]:
        name = member.env["NODE_NAME"]
        done = first.run("/usr/local/bin/consul-member", "forget", name)
        assert (done.returncode, done.stdout) == (0, f"{name} has lost its seat\n"), done.stderr
    assert voters(first) == {"galera-1"}
    for member in members[1:]:
        member.stop()
    wait_for(lambda: alive(first) == {"galera-1"}, "the others are gone", 60)
    for name in ("galera-2", "galera-3"):
        done = first.run("/usr/local/bin/consul-member", "forget", name)
        # The leader may be faster with the entry.
        assert done.returncode == 0, done.stderr
        assert f"{name} has left the members" in done.stdout
        assert "no seat" in first.run("/usr/local/bin/consul-member", "forget", name).stdout
    assert {each["Name"] for each in ask(first, "/v1/agent/members")[1]} == {"galera-1"}
    assert value(first) == 1


def test_with_one_of_five_dead_a_member_that_is_turned_away_stays_unwell_and_a_vote_counts_to_the_last(
    site: Members,
) -> None:
    """What `components/votes.py` rests on, and what stops a rolling change before it costs the majority."""
    members = site.all_started(range(1, 6), 5)
    *others, fourth, dead = members
    dead.kill()
    first = led(members[:4])
    asked = next(each for each in others if each.address == first)
    done = asked.run("/usr/local/bin/consul-member", "forget", "galera-4")
    assert (done.returncode, done.stdout) == (0, "galera-4 has lost its seat\n"), done.stderr
    assert "galera-4" not in voters(asked)
    wait_for(lambda: "galera-4" in voters(asked), "the vote of a server that still runs", 120)

    changed = next(each for each in others if each is not asked)
    assert changed.stop() == 0
    for name, text in member_secrets(Authority(), [changed.address]).items():
        (changed.here / "secrets" / name).write_text(text)
    changed.start()
    wait_for(lambda: "though enough other servers run" in changed.run(*HEALTH).stdout, "its verdict", 150)
    assert not serves(changed)
    assert all(serves(each) for each in (*others, fourth) if each is not changed)


def test_the_last_server_goes_on_alone_with_all_records(site: Members) -> None:
    members = site.all_started(range(1, 4), 3)
    last, *others = members
    assert ask(last, KEY, "PUT", 1)[1] is True
    told = last.run("/usr/local/bin/consul-member", "force-new-cluster")
    assert (told.returncode, "its majority" in told.stdout) == (0, True), told
    for other in others:
        other.kill()
    wait_for(lambda: leader(last) == "", "no leader", 60)
    assert serves(last)
    told = last.run("/usr/local/bin/consul-member", "force-new-cluster")
    assert (told.returncode, "goes on alone" in told.stdout) == (0, True), told
    wait_for(lambda: not last.running, "the container ends", 30)
    last.start()
    formed([last])
    assert voters(last) == {"galera-1"}
    assert value(last) == 1
    for other in others:
        other.lose_volume()
        other.start()
    formed(members)
    wait_for(lambda: voters(last) == {"galera-1", "galera-2", "galera-3"}, "three votes", 60)
    assert value(others[0]) == 1
