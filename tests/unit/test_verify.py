"""`verify`: what it concludes from the hosts' answers, and that any one thing amiss makes it fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operations import cluster_checks, cluster_facts, outputs, verify
from operations.cluster_checks import Check
from operations.cluster_facts import HostFacts, Manager
from operations.errors import OperationsError
from operations.outputs import Outputs
from operations.remote_hosts import Answer
from operations.verify import Report
from tests.unit.fake_host import FakeHost

pytestmark = pytest.mark.unit

NAMES = ("galera-1", "galera-2", "galera-3", "galera-4")
VALUES: dict[str, Any] = {
    "hosts": [
        {
            "name": name,
            "id": str(n),
            "publicIp": f"203.0.113.{n}",
            "privateIp": f"10.144.12.{n}",
            "datacenter": "tor01",
            "role": "manager" if n < 4 else "worker",
        }
        for n, name in enumerate(NAMES, 1)
    ],
    "network": {"name": "galera", "id": "x", "subnet": "10.20.0.0/24", "encrypted": True},
    "discovery": {"kind": "etcd", "address": "etcd", "port": 2379, "vip": "10.20.0.2"},
    "galera": {
        "clusterName": "galera",
        "service": "galera",
        "vip": "10.20.0.5",
        "port": 3306,
        "size": 3,
        "members": list(NAMES[:3]),
        "database": "app",
    },
    "ssh": {
        "user": "root",
        "privateKey": "PRIVATE KEY",
        "addresses": {name: f"203.0.113.{n}" for n, name in enumerate(NAMES, 1)},
        "hostKeys": dict.fromkeys(NAMES, "ssh-ed25519 AAAA"),
    },
    "passwords": {"root": "secret-root", "app": "secret-app"},
}
UUID = "9f3c1e0a-0000-11ee-8000-000000000001"


@pytest.fixture
def found() -> Outputs:
    return outputs.parse("dev", VALUES)


def printed(number: int, manager: bool = True) -> str:
    """What a healthy host prints."""
    lines = [
        "mount\t/dev/mapper/docker_vg-docker_lv1 btrfs",
        "volume\t  docker_vg/docker_lv1",
        "driver\tbtrfs",
        "swarm\tactive",
        f"node\tn{number}",
        "option\tcom.docker.network.driver.overlay.vxlanid_list",
        "option\tencrypted",
        "option\t",
        *(f"ipsec\t10.144.12.{peer}" for peer in (1, 2, 3) if peer != number),
    ]
    if manager:
        lines += [
            "manager\tn1=galera-1=Leader",
            *("manager\tn2=galera-2=Reachable", "manager\tn3=galera-3=Reachable", "manager\tn4=galera-4="),
            "etcd\thealthy",
            'etcd\t{"header":{"cluster_id":77,"member_id":1},"members":[{"ID":1},{"ID":2},{"ID":3}]}',
            "galera\twsrep_local_state_comment\tSynced",
            "galera\twsrep_cluster_size\t3",
            "galera\twsrep_cluster_status\tPrimary",
            "galera\twsrep_ready\tON",
            f"galera\twsrep_cluster_state_uuid\t{UUID}",
        ]
    return "\n".join(lines) + "\n"


def facts() -> dict[str, HostFacts]:
    return {name: cluster_facts.parse(printed(n, n < 4)) for n, name in enumerate(NAMES, 1)}


def all_checks(found: Outputs, seen: Mapping[str, HostFacts]) -> list[Check]:
    return [
        *cluster_checks.of_hosts(found, seen),
        *cluster_checks.of_network(found, seen),
        *cluster_checks.of_store(found, seen),
        *cluster_checks.of_galera(found, seen),
    ]


def failed(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.where, check.found) for check in checks if not check.ok]


def test_a_healthy_cluster_passes_every_check(found: Outputs) -> None:
    checks = all_checks(found, facts())
    assert failed(checks) == []
    assert len(checks) == 4 * 3 + 1 + 3 + 3 + 1 + 3 + 1


def galera(**changed: str) -> Callable[[HostFacts], HostFacts]:
    return lambda seen: replace(seen, galera={**seen.galera, **changed})


AMISS: list[tuple[str, Callable[[HostFacts], HostFacts], tuple[str, str]]] = [
    (
        "a node that is no donor and not synced",
        galera(wsrep_local_state_comment="Joining"),
        ("galera-2", "Joining"),
    ),
    ("a node that sees fewer nodes", galera(wsrep_cluster_size="2"), ("galera-2", "Synced, 2, Primary")),
    (
        "a node outside the Primary component",
        galera(wsrep_cluster_status="non-Primary"),
        ("galera-2", "non-Primary"),
    ),
    ("a node that takes no queries", galera(wsrep_ready="OFF"), ("galera-2", "OFF")),
    ("a node of another cluster", galera(wsrep_cluster_state_uuid="other"), ("cluster", "other")),
    ("a node without a server", lambda seen: replace(seen, galera={}), ("galera-2", "no answer")),
    (
        "data on the system's disk",
        lambda seen: replace(seen, mount=("/dev/ubda", "ext4"), volume=""),
        ("galera-2", "ext4 on no volume"),
    ),
    ("btrfs without LVM", lambda seen: replace(seen, volume=""), ("galera-2", "btrfs on no volume")),
    ("another volume", lambda seen: replace(seen, volume="vg/data"), ("galera-2", "btrfs on vg/data")),
    ("an unmounted disk", lambda seen: replace(seen, mount=()), ("galera-2", "not mounted")),
    (
        "an engine on overlay2",
        lambda seen: replace(seen, driver="overlay2"),
        ("galera-2", "overlay2, active"),
    ),
    (
        "a host that left the swarm",
        lambda seen: replace(seen, swarm="inactive"),
        ("galera-2", "btrfs, inactive"),
    ),
    (
        "an overlay in plain text",
        lambda seen: replace(seen, network_options=frozenset({"vxlanid_list"})),
        ("galera-2", "not encrypted"),
    ),
    ("no overlay", lambda seen: replace(seen, network_options=frozenset()), ("galera-2", "no such network")),
    (
        "no IPsec to one peer",
        lambda seen: replace(seen, ipsec_peers=frozenset({"10.144.12.1"})),
        ("galera-2", "encrypted, no IPsec to 10.144.12.3"),
    ),
    (
        "a store without a majority",
        lambda seen: replace(seen, etcd_healthy=False),
        ("galera-2", "not healthy"),
    ),
    (
        "a store that lacks a member",
        lambda seen: replace(seen, etcd_members=2),
        ("galera-2", "healthy, 2 members"),
    ),
    ("a store of its own", lambda seen: replace(seen, etcd_cluster="78"), ("cluster", "2 seen")),
]


@pytest.mark.parametrize(("what", "change", "expected"), AMISS, ids=[row[0] for row in AMISS])
def test_one_thing_amiss_on_one_host_is_found_there(
    found: Outputs, what: str, change: Callable[[HostFacts], HostFacts], expected: tuple[str, str]
) -> None:
    seen = facts()
    seen["galera-2"] = change(seen["galera-2"])
    assert any(
        where == expected[0] and expected[1] in told for where, told in failed(all_checks(found, seen))
    ), what


@pytest.mark.parametrize("lost", NAMES)
def test_a_host_that_does_not_answer_fails_whichever_it_is(found: Outputs, lost: str) -> None:
    seen = facts()
    seen[lost] = cluster_facts.parse("", "no SSH at 203.0.113.9: timed out")
    assert (lost, "no SSH at 203.0.113.9: timed out") in failed(all_checks(found, seen))


def votes(*lines: str) -> tuple[Manager, ...]:
    return tuple(Manager(*line.split("=")) for line in lines)


@pytest.mark.parametrize(
    ("managers", "told"),
    [
        (
            votes("n1=galera-1=Leader", "n2=galera-2=Reachable", "n3=galera-3=Unreachable"),
            "galera-3 unreachable",
        ),
        (votes("n1=galera-1=Leader", "n2=galera-2=Reachable"), "galera-3 missing"),
        (votes("n1=galera-1=Reachable", "n2=galera-2=Reachable", "n3=galera-3=Reachable"), "leader none"),
        (
            votes(
                "n1=galera-1=Leader", "n2=galera-2=Reachable", "n3=galera-3=Reachable", "n9=ghost=Unreachable"
            ),
            "ghost unreachable as n9",
        ),
        # The host was replaced, and its former self still votes: four votes, of which three must be there.
        (
            votes(
                *("n1=galera-1=Leader", "n2=galera-2=Reachable", "n3=galera-3=Reachable"),
                "old=galera-3=Unreachable",
            ),
            "galera-3 unreachable as old",
        ),
        # Only its former self is a manager.
        (votes("n1=galera-1=Leader", "n2=galera-2=Reachable", "old=galera-3=Reachable"), "galera-3 missing"),
    ],
)
def test_managers_are_counted_as_the_swarm_sees_them(
    found: Outputs, managers: tuple[Manager, ...], told: str
) -> None:
    seen = {name: replace(host, managers=managers) for name, host in facts().items()}
    assert any(told in text for where, text in failed(all_checks(found, seen)) if where == "cluster")


def test_a_manager_that_does_not_answer_is_not_taken_for_a_stranger(found: Outputs) -> None:
    seen = facts()
    seen["galera-3"] = cluster_facts.parse("", "no SSH")
    (told,) = [text for where, text in failed(all_checks(found, seen)) if "reachable, leader" in text]
    assert told == "2 reachable, leader galera-1, galera-3 unknown"


def test_a_row_counts_only_when_it_is_read_on_every_node(found: Outputs) -> None:
    everywhere = {name: Answer("1\n") for name in found.members}
    assert failed(cluster_checks.of_row(found, Answer(), everywhere)) == []
    without = {**everywhere, "galera-3": Answer("")}
    assert failed(cluster_checks.of_row(found, Answer(), without)) == [("galera-3", "not there")]
    broken = {**everywhere, "galera-3": Answer(error="ERROR 1047 (08S01): WSREP has not yet prepared node")}
    assert failed(cluster_checks.of_row(found, Answer(), broken))[0][1].startswith("ERROR 1047")


def test_a_row_that_could_not_be_written_fails_on_every_node(found: Outputs) -> None:
    checks = cluster_checks.of_row(found, Answer(error="ERROR 2002: can't connect"), {})
    assert len(failed(checks)) == 1 + 3


class Hosts:
    """Hosts of which only `good` can drop a table; `asked` in order."""

    def __init__(self, *good: str) -> None:
        self.good, self.asked = good, list[str]()

    async def run(self, name: str, text: str, stdin: str = "") -> Answer:
        self.asked.append(name)
        assert "DROP TABLE IF EXISTS `app`.`verify_1`" in text
        return Answer() if name in self.good else Answer(error=f"{name} is not ready")


def test_the_table_is_dropped_on_any_node_that_can(found: Outputs) -> None:
    hosts = Hosts("galera-2", "galera-3")
    tried = asyncio.run(verify._drop(hosts, found, "verify_1"))  # type: ignore[arg-type]
    assert hosts.asked == ["galera-1", "galera-2"]
    assert failed(cluster_checks.of_clean_up(found, "verify_1", tried)) == []


def test_a_table_that_stays_is_reported_with_its_name_and_why(found: Outputs) -> None:
    tried = asyncio.run(verify._drop(Hosts(), found, "verify_1"))  # type: ignore[arg-type]
    assert list(tried) == list(found.members)
    ((where, told),) = failed(cluster_checks.of_clean_up(found, "verify_1", tried))
    assert where == "cluster"
    assert told.startswith("app.verify_1 may be left: galera-1: galera-1 is not ready; galera-2: ")


@pytest.mark.parametrize("write_fails", [False, True], ids=["written", "not written"])
def test_what_was_written_is_removed_whether_or_not_it_was_written_well(
    found: Outputs, monkeypatch: pytest.MonkeyPatch, write_fails: bool
) -> None:
    ran: list[tuple[str, str]] = []

    class Remote:
        reachable = ["galera-2", "galera-1"]

        async def run(self, name: str, text: str, stdin: str = "") -> Answer:
            ran.append((name, "drop" if "DROP TABLE" in text else "write"))
            return Answer(error="timed out") if "CREATE TABLE" in text and write_fails else Answer()

        async def run_all(self, texts: Mapping[str, str], stdin: str = "") -> dict[str, Answer]:
            return {name: Answer("1\n" if "SELECT id" in text else "") for name, text in texts.items()}

    @contextlib.asynccontextmanager
    async def connected(_outputs: Outputs) -> AsyncIterator[Remote]:
        yield Remote()

    monkeypatch.setattr(verify, "connected", connected)
    report = Report()
    asyncio.run(verify._verify(found, report))
    assert ran == [("galera-1", "write"), ("galera-1", "drop")]
    (removed,) = [check for check in report.checks if check.what == "what this check wrote is removed"]
    assert removed.ok


def test_a_report_without_checks_is_no_success() -> None:
    assert not Report().ok


def test_the_report_for_machines_says_all_and_no_secret(found: Outputs) -> None:
    report = Report(all_checks(found, facts()))
    with report.stage("look"):
        pass
    told = report.as_json("dev")
    assert told["ok"] is True
    assert len(report.checks) == len(told["checks"])  # type: ignore[arg-type]
    assert "secret-app" not in json.dumps(told) + repr(found)
    assert "PRIVATE KEY" not in repr(found)


def test_a_stack_that_did_not_come_to_its_end_says_how_to_go_on() -> None:
    values = {key: value for key, value in VALUES.items() if key not in ("galera", "passwords")}
    with pytest.raises(OperationsError, match=r"no output galera, passwords.*Run `up` again"):
        outputs.parse("dev", values)


DOCKER = r"""
case "$1 $2" in
  "info --format") echo "btrfs|active|n1" ;;
  "network inspect") printf 'encrypted\n\n' ;;
  "ps -f") printf 'c1 galera\nc2 etcd\nc3 \n' ;;
  "node ls") printf 'n1=galera-1=Leader\nn2=galera-2=Reachable\nn3=galera-3=Reachable\nn4=galera-4=\n' ;;
  "exec -e") [[ $4 == c2 ]] && printf 'healthy\n{"header":{"cluster_id":77},"members":[{},{},{}]}\n' ;;
  "exec -u") [[ ! -e $host/down && $5 == c1 ]] && printf 'wsrep_cluster_size\t3\nwsrep_ready\tON\n' ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("docker", DOCKER)
    made.program("findmnt", "echo '/dev/mapper/docker_vg-docker_lv1[/sub] btrfs'")
    made.program("lvs", "echo '  docker_vg/docker_lv1'")
    made.program("ip", "printf 'src 10.0.0.1 dst 10.144.12.2\\n\\tproto esp spi 0x1\\n'")
    return made


def test_the_script_for_a_host_prints_what_is_read_from_it(found: Outputs, host: FakeHost) -> None:
    ran = host.run(cluster_facts.look(found, True, True))
    assert ran.code == 0, ran.err
    assert cluster_facts.parse(ran.out) == HostFacts(
        mount=("/dev/mapper/docker_vg-docker_lv1[/sub]", "btrfs"),
        volume="docker_vg/docker_lv1",
        driver="btrfs",
        swarm="active",
        node="n1",
        managers=votes("n1=galera-1=Leader", "n2=galera-2=Reachable", "n3=galera-3=Reachable"),
        network_options=frozenset({"encrypted"}),
        ipsec_peers=frozenset({"10.144.12.2"}),
        galera={"wsrep_cluster_size": "3", "wsrep_ready": "ON"},
        etcd_healthy=True,
        etcd_members=3,
        etcd_cluster="77",
    )


def test_a_part_that_fails_does_not_hide_the_others(found: Outputs, host: FakeHost) -> None:
    host.file("down", "")
    ran = host.run(cluster_facts.look(found, True, True))
    assert ran.code == 0, ran.err
    seen = cluster_facts.parse(ran.out)
    assert seen.galera == {}
    assert seen.etcd_members == 3


def test_the_password_is_in_no_script(found: Outputs) -> None:
    texts = [
        cluster_facts.look(found, True, True),
        cluster_facts.write_row(found, "t"),
        cluster_facts.read_row(found, "t"),
        cluster_facts.drop_table(found, "t"),
    ]
    assert not [text for text in texts if "secret-" in text]
