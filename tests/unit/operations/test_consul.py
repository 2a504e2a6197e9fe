"""Consul in `verify` and `survive`: what is concluded from the hosts' answers, and what is done on one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operations import outputs
from operations.checks import consul as consul_checks
from operations.checks.check import Check
from operations.facts import cluster as cluster_facts
from operations.facts import host_looks
from operations.facts.cluster import HostFacts
from operations.facts.consul import ConsulFacts
from operations.outage import last_one
from operations.outage.last_one import parts
from operations.outputs import Outputs
from tests.unit.fake_host import FakeHost
from tests.unit.operations.outage.test_survive import FOUND, HOSTS, LOST
from tests.unit.operations.test_verify import NAMES, VALUES

pytestmark = pytest.mark.unit

STORE = {"kind": "consul", "address": "gateway", "port": 8501, "servers": list(NAMES[:3])}
MEMBERS = """Node      Address           Status  Type    Build   Protocol  DC     Partition  Segment
galera-1  10.144.12.1:8301  alive   server  1.16.6  2         tor01  default    <all>
galera-2  10.144.12.2:8301  alive   server  1.16.6  2         tor01  default    <all>
galera-3  10.144.12.3:8301  alive   server  1.16.6  2         tor01  default    <all>
galera-4  10.144.12.4:8301  alive   client  1.16.6  2         tor01  default    <default>"""
PEERS = """Node      ID                                    Address           State     Voter  RaftProtocol
galera-1  0b8c0a3e-0000-0000-0000-000000000001  10.144.12.1:8300  leader    true   3
galera-2  0b8c0a3e-0000-0000-0000-000000000002  10.144.12.2:8300  follower  true   3
galera-3  0b8c0a3e-0000-0000-0000-000000000003  10.144.12.3:8300  follower  true   3"""


@pytest.fixture
def found() -> Outputs:
    return outputs.parse("dev", {**VALUES, "discovery": STORE})


def printed(manager: bool = True) -> str:
    """What a healthy host prints."""
    lines = [
        *(f"named\t10.144.12.{n}" for n in (1, 2, 3)),
        "resolves\tyes",
        "consul\thealthy",
        "consul\tcertificates until 2036-11-26",
        *(f"consul\tmember {line}" for line in MEMBERS.splitlines()),
        *(f"consul\tserver {line}" for line in PEERS.splitlines()),
    ]
    if manager:
        lines += [
            *("right\tnobody denied", "right\tconsumer denied", "right\tgalera allowed"),
            *("right\tgalera-elsewhere denied", "galera\twsrep_local_state_comment\tSynced"),
        ]
    return "\n".join(lines) + "\n"


def facts() -> dict[str, HostFacts]:
    return {name: cluster_facts.parse(printed(n < 4)) for n, name in enumerate(NAMES, 1)}


def failed(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.where, check.found) for check in checks if not check.ok]


def test_a_healthy_consul_passes_every_check(found: Outputs) -> None:
    checks = consul_checks.of_consul(found, facts())
    assert failed(checks) == []
    assert not [check for check in checks if check.warns or check.remedy]
    assert len(checks) == 4 + 4 + 1 + 4 + 1 + 4
    assert all(seen.store_healthy for seen in facts().values())


def consul(**changed: Any) -> Callable[[HostFacts], HostFacts]:
    return lambda seen: replace(seen, consul=replace(seen.consul, **changed))


def member(status: str) -> Callable[[HostFacts], HostFacts]:
    return lambda seen: replace(
        seen, consul=replace(seen.consul, members={**seen.consul.members, "galera-3": status})
    )


AMISS: list[tuple[str, str, Callable[[HostFacts], HostFacts], list[tuple[str, str]]]] = [
    ("no answer", "galera-2", lambda _: HostFacts(error="gone"), [("galera-2", "no answer")]),
    ("an ill agent", "galera-4", consul(healthy=False), [("galera-4", "not healthy, 4 alive")]),
    (
        "certificates that have expired",
        "galera-4",
        consul(certificates="consul.crt expired on 2026-01-01"),
        [("galera-4", "consul.crt expired on 2026-01-01")],
    ),
    ("a failed member", "galera-1", member("failed"), [("galera-1", "healthy, 3 alive, galera-3 failed")]),
    (
        "a host that is no member",
        "galera-1",
        consul(members=dict.fromkeys(NAMES[:3], "alive")),
        [("galera-1", "healthy, 3 alive, galera-4 unknown")],
    ),
    (
        "a lost vote",
        "galera-1",
        consul(servers={"galera-1": "leader", "galera-2": "follower"}),
        [("cluster", "galera-1, galera-2; leader galera-1; seen otherwise by galera-2, galera-3")],
    ),
    (
        "two leaders",
        "galera-2",
        consul(servers={"galera-1": "follower", "galera-2": "leader", "galera-3": "follower"}),
        [("cluster", "galera-1, galera-2, galera-3; leader galera-1 and galera-2")],
    ),
    (
        "a resolver that was set back",
        "galera-4",
        consul(resolves=False, named=frozenset()),
        [
            ("galera-4", "consul.service.consul is not found"),
            ("cluster", "nobody on galera-4; Synced: galera-1, galera-2, galera-3"),
        ],
    ),
    (
        "a node that serves and is not named",
        "galera-1",
        consul(named=frozenset({"10.144.12.1", "10.144.12.2"})),
        [("cluster", "galera-1, galera-2 on galera-1; Synced: galera-1, galera-2, galera-3")],
    ),
    (
        "a token that may too much",
        "galera-1",
        consul(
            rights={
                "nobody": "denied",
                "consumer": "allowed",
                "galera": "allowed",
                "galera-elsewhere": "denied",
            }
        ),
        [("cluster", "allowed")],
    ),
    (
        "a token that nobody knows",
        "galera-1",
        consul(
            rights={
                "nobody": "denied",
                "consumer": "denied",
                "galera": "Error querying Consul agent: 403 (ACL not found)",
                "galera-elsewhere": "denied",
            }
        ),
        [("cluster", "Error querying Consul agent: 403 (ACL not found)")],
    ),
]


@pytest.mark.parametrize(
    ("host", "change", "said"), [row[1:] for row in AMISS], ids=[row[0] for row in AMISS]
)
def test_any_one_thing_amiss_fails_where_it_is(
    found: Outputs, host: str, change: Callable[[HostFacts], HostFacts], said: list[tuple[str, str]]
) -> None:
    seen = facts()
    seen[host] = change(seen[host])
    told = failed(consul_checks.of_consul(found, seen))
    assert [each for each in said if each not in told] == []
    if host != "galera-2" or "gone" not in str(seen[host].error):
        assert told == said


def test_a_resolver_that_was_set_back_is_mended_by_the_step_that_sets_it(found: Outputs) -> None:
    seen = facts()
    seen["galera-4"] = consul(resolves=False)(seen["galera-4"])
    (check,) = [check for check in consul_checks.of_consul(found, seen) if not check.ok]
    # The program sees no change on the host: an `up` alone would do nothing.
    assert "`pulumi up --replace '**consul-asked-galera-4'`" in check.remedy


def test_a_node_that_does_not_serve_must_not_be_named(found: Outputs) -> None:
    seen = facts()
    seen["galera-3"] = replace(seen["galera-3"], galera={"wsrep_local_state_comment": "Joining"})
    (one,) = failed(consul_checks.of_consul(found, seen))
    assert one[1].endswith("Synced: galera-1, galera-2")
    named = frozenset({"10.144.12.1", "10.144.12.2"})
    seen = {name: consul(named=named)(each) for name, each in seen.items()}
    assert failed(consul_checks.of_consul(found, seen)) == []


def test_of_more_nodes_than_one_answer_names_any_three_will_do(found: Outputs) -> None:
    serving = {**facts()["galera-1"].galera}
    seen = {name: replace(each, galera=serving) for name, each in facts().items()}
    all_serve = replace(found, members=NAMES)
    assert failed(consul_checks.of_consul(all_serve, seen)) == []
    seen = {name: consul(named=frozenset({"10.144.12.1"}))(each) for name, each in seen.items()}
    assert len(failed(consul_checks.of_consul(all_serve, seen))) == 1


def test_records_of_the_former_store_are_a_warning(found: Outputs) -> None:
    seen = facts()
    seen["galera-1"] = replace(seen["galera-1"], volumes=frozenset({"etcd-data"}))
    checks = consul_checks.of_consul(found, seen)
    assert failed(checks) == []
    (warning,) = [check for check in checks if check.warns]
    assert "docker volume rm etcd-data" in warning.remedy


def test_certificates_are_told_of_before_they_end_and_an_older_image_is_not_blamed(found: Outputs) -> None:
    today = dt.datetime.now(dt.UTC).date()

    def told(text: str) -> tuple[bool, bool, str]:
        seen = facts()
        seen["galera-4"] = consul(certificates=text)(seen["galera-4"])
        (check,) = [
            each
            for each in consul_checks.of_consul(found, seen)
            if each.where == "galera-4" and "certificates" in each.what
        ]
        return check.ok, check.warns, check.remedy

    for days, ok, warns in ((400, True, False), (300, True, True), (20, False, True)):
        until = f"until {today + dt.timedelta(days=days)}"
        assert told(until) == (ok, warns, "`up` renews them; members take them one by one" if warns else "")
    assert told("") == (True, True, consul_checks.NEWER_IMAGE)


def test_an_answer_that_is_none_of_consuls_is_no_fact() -> None:
    told = cluster_facts.parse(
        "consul\tmember Error retrieving members: 500\nconsul\tserver Error getting peers\n"
    )
    assert told.consul == ConsulFacts()
    assert not told.store_healthy


DOCKER = r"""
case $* in
  "info "*) echo 'btrfs|active|n1|' ;;
  "ps "*) echo c-consul ;;
  "inspect "*) echo 'c-consul|true|consul|sha256:1|/consul.n1' ;;
  "volume inspect etcd-data") [[ -e $host/etcd-data ]] ;;
  exec*) shift $(($# - 1)); PATH="$host/inside:$PATH" bash -c "$1" ;;
esac
"""
INSIDE = {
    "consul-member": '[[ $1 == health ]] || { [[ $1 == certificates ]] && echo "until 2036-11-26"; }',
    "consul": r"""
token=$(<"$CONSUL_HTTP_TOKEN_FILE") 2>/dev/null
case $* in
  members) [[ $CONSUL_HTTP_TOKEN_FILE == *management* ]] && cat "$host/members" ;;
  "operator raft list-peers") [[ $CONSUL_HTTP_TOKEN_FILE == *management* ]] && cat "$host/peers" ;;
  "kv get -token-file=/run/secrets/store-token swarm-galera/verify") echo 'Error! No key exists at: x' ;;
  "kv get -token-file=/run/secrets/store-token"*) echo 'Error: 403 (Permission denied: token)' ;;
  "kv get -token-file=/run/secrets/consul-consumer-token"*) echo 'Error: 403 (permission denied)' ;;
  "kv get swarm-galera/verify") echo 'Permission denied: anonymous token lacks permission'; exit 1 ;;
esac
""",
}


def test_a_host_is_asked_for_what_the_checks_need(found: Outputs, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.program("docker", DOCKER)
    host.program(
        "getent", r'[[ $2 != db.* ]] || printf "10.144.12.%s STREAM db\n10.144.12.%s DGRAM\n" 1 1 2 2'
    )
    for name in ("findmnt", "df", "lvs", "btrfs", "systemctl", "ip"):
        host.program(name)
    (host.folder / "inside").mkdir()
    for name, text in INSIDE.items():
        path = host.file(f"inside/{name}", f"#!/bin/bash\nhost={host.folder}\n{text}\n")
        path.chmod(0o755)
    host.file("members", MEMBERS + "\n")
    host.file("peers", PEERS + "\n")
    for manager in (False, True):
        ran = host.run(host_looks.look(found, manager=manager, member=False))
        told = cluster_facts.parse(ran.out)
        assert told.consul.healthy, ran.err
        assert told.consul.certificates == "until 2036-11-26"
        assert told.consul.members == dict.fromkeys(NAMES, "alive")
        assert told.consul.servers == {"galera-1": "leader", "galera-2": "follower", "galera-3": "follower"}
        assert told.consul.named == {"10.144.12.1", "10.144.12.2"}
        assert told.consul.resolves
        assert told.volumes == frozenset()
        wanted = {key: answer for key, (_, answer) in consul_checks.RIGHTS.items()} if manager else {}
        assert told.consul.rights == wanted
    told = cluster_facts.parse(host.run(host_looks.brief_look(found, manager=True, member=False)).out)
    assert told.store_healthy
    assert told.consul == ConsulFacts(healthy=True, servers=told.consul.servers)
    host.file("etcd-data", "")
    told = cluster_facts.parse(host.run(host_looks.look(found, manager=False, member=False)).out)
    assert told.volumes == {"etcd-data"}
    assert told.consul.healthy


SURVIVOR = """
case $* in
  "ps "*) [[ ! -e $host/member ]] || echo c-consul;;
  *"consul-member health") [[ -e $host/alone || -e $host/healthy ]];;
  *"list-peers") [[ -e $host/alone ]] && echo 'galera-1 0b8c 10.144.12.1:8300 leader true 3';;
  *"test -e /var/lib/consul/force-new-cluster") [[ -e $host/word ]];;
  *"consul-member force-new-cluster")
    [[ ! -e $host/majority ]] || { echo 'it is about to find its majority'; exit 0; }
    [[ ! -e $host/silent ]] || { echo 'cannot be asked'; exit 1; }
    touch "$host/word"; echo 'this server goes on alone';;
esac
"""


def test_the_last_server_is_told_once_to_go_on_alone(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.program("timeout", 'shift; exec "$@"')
    host.program("docker", SURVIVOR)
    with_consul = replace(FOUND, store="consul")

    def outcome() -> str:
        ran = host.run(parts(with_consul, HOSTS[0], LOST)[1].text)
        assert ran.code == 0, ran.err
        return ran.out.splitlines()[-1].removeprefix(last_one.OUTCOME)

    assert outcome() == "wait no container of consul runs yet"
    for name in ("member", "healthy", "silent"):
        host.file(name, "")
    # Its health alone is no proof of a leader.
    assert outcome() == "wait cannot be asked"
    (host.folder / "silent").unlink()
    host.file("majority", "")
    assert outcome() == "wait it finds its majority"
    (host.folder / "majority").unlink()
    assert outcome() == "wait its server starts anew, with all records"
    assert outcome() == "wait its server makes a cluster of one"
    (host.folder / "word").rename(host.folder / "alone")
    assert outcome() == "nothing"
