"""`verify`: what it concludes from the hosts' answers, and that any one thing amiss makes it fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from components.host_scripts.own import NOTES
from operations import outputs, verify
from operations.checks import cluster as cluster_checks
from operations.checks import galera as galera_checks
from operations.checks.check import Check
from operations.errors import OperationsError
from operations.facts import cluster as cluster_facts
from operations.facts import galera_variables, host_looks
from operations.facts.cluster import HostFacts, Manager, Space
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
    "discovery": {"kind": "etcd", "address": "etcd", "port": 2381, "vip": "10.20.0.2"},
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


def variables(number: int) -> dict[str, str]:
    return {
        **dict.fromkeys(galera_variables.ALIKE, "the same"),
        **galera_variables.FIXED,
        "auto_increment_increment": "3",
        "auto_increment_offset": str(number),
    }


def node_status(number: int) -> dict[str, Any]:
    """What `galera-node status --json` says on a node of a whole cluster."""
    about = {
        "state": "synced",
        "address": "10.20.0.9",
        "published": 4711,
        "forgotten": False,
        "problem": None,
    }
    own = {"uuid": UUID, "seqno": 4711, "health": "Synced", "healthy": True}
    return {
        "cluster": {"uuid": UUID, "phase": "formed", "seed": "galera-1", "epoch": "e2"},
        "self": {"node": f"galera-{number}", "epoch": "e2", **own},
        "members": dict.fromkeys(NAMES[:3], about),
        "view": list(NAMES[:3]),
    }


@pytest.fixture
def found() -> Outputs:
    return outputs.parse("dev", VALUES)


def printed(number: int, manager: bool = True) -> str:
    """What a healthy host prints."""
    lines = [
        "mount\t/dev/mapper/docker_vg-docker_lv1 btrfs",
        "volume\t  docker_vg/docker_lv1",
        "engine\tactive",
        "driver\tbtrfs",
        "swarm\tactive",
        f"node\tn{number}",
        "trouble\t",
        "space\t/                26000000000 20000000000",
        "space\t/var/lib/docker  26839351296 25592692736",
        "btrfs\tDevice unallocated:\t\t       25203572736",
        "btrfs\tMetadata,DUP: Size:268435456, Used:2129920 (0.79%)",
        "reserve\tyes",
        "image\tetcd sha256:e7cd",
        "image\tgalera sha256:9a1e",
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
            "etcd\tclients users until 2036-11-26",
            'etcd\t{"header":{"cluster_id":77,"member_id":1},"members":[{"ID":1},{"ID":2},{"ID":3}]}',
            *(
                f'content\t{revision} [{{"Endpoint":"https://127.0.0.1:2381","HashKV":{{"header":{{"revision":51}},'
                f'"hash":{revision * 3},"compact_revision":9}}}}]'
                for revision in (48, 40)
            ),
            "galera\twsrep_local_state_comment\tSynced",
            "galera\twsrep_cluster_size\t3",
            "galera\twsrep_cluster_status\tPrimary",
            "galera\twsrep_ready\tON",
            f"galera\twsrep_cluster_state_uuid\t{UUID}",
            "galera\twsrep_last_committed\t4711",
            "galera\twsrep_provider_version\t26.4.23(r0)",
            *(f"galera\t{name}\t{value}" for name, value in variables(number).items()),
            "galera\ttables_not_replicated\tnone",
            *(f"status\t{line}" for line in json.dumps(node_status(number), indent=1).splitlines()),
        ]
    return "\n".join(lines) + "\n"


def facts() -> dict[str, HostFacts]:
    return {name: cluster_facts.parse(printed(n, n < 4)) for n, name in enumerate(NAMES, 1)}


def all_checks(found: Outputs, seen: Mapping[str, HostFacts]) -> list[Check]:
    return [
        *cluster_checks.of_hosts(found, seen),
        *cluster_checks.of_network(found, seen),
        *cluster_checks.of_store(found, seen),
        *galera_checks.of_galera(found, seen),
    ]


def failed(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.where, check.found) for check in checks if not check.ok]


def test_a_healthy_cluster_passes_every_check(found: Outputs) -> None:
    checks = all_checks(found, facts())
    assert failed(checks) == []
    assert [check for check in checks if check.warns] == []
    assert len(checks) == 4 * 6 + 1 + 3 + 2 * 3 + 2 + 3 + 1 + 3 + 1 + 5 + 1


def galera(**changed: str) -> Callable[[HostFacts], HostFacts]:
    return lambda seen: replace(seen, galera={**seen.galera, **changed})


def without(name: str) -> Callable[[HostFacts], HostFacts]:
    return lambda seen: replace(seen, galera={key: told for key, told in seen.galera.items() if key != name})


@pytest.mark.parametrize(
    ("today", "ok", "warns"),
    [("2035-11-26", True, False), ("2035-11-28", True, True), ("2036-10-28", False, True)],
)
def test_the_store_s_certificates_are_looked_at_while_there_is_time(
    found: Outputs, today: str, ok: bool, warns: bool
) -> None:
    checks = cluster_checks.of_store(found, facts(), date.fromisoformat(today))
    rows = [check for check in checks if "lets in users" in check.what]
    assert [(check.ok, check.warns) for check in rows] == [(ok, warns)] * 3
    assert all("renews certificates" in check.remedy for check in rows)


def test_verify_promises_no_restart_of_an_engine_that_is_not_the_program_s(found: Outputs) -> None:
    seen = facts()
    seen["galera-2"] = replace(seen["galera-2"], swarm="error", ghosts=("x",), kept=True)
    seen["galera-3"] = replace(seen["galera-3"], ghosts=("x",))
    remedies = [(check.where, check.remedy) for check in all_checks(found, seen) if not check.ok]
    assert {"never restarts" in remedy for where, remedy in remedies if where == "galera-2"} == {True}
    assert all("`up` restarts" in remedy for where, remedy in remedies if where == "galera-3")


def test_a_node_that_the_settings_do_not_know_any_more_is_named_with_what_to_do(found: Outputs) -> None:
    """As a worker's whose pool has lost its label: a restart of the cluster would wait for it."""
    seen = facts()
    for name, host in seen.items():
        told = dict(host.node_status)
        seen[name] = replace(host, node_status=told and {**told, "members": {**told["members"], "old-1": {}}})
    (check,) = [each for each in all_checks(found, seen) if not each.ok]
    assert "wait for old-1, which by the settings bears no node" in check.remedy
    assert all("wait for" not in each.remedy for each in all_checks(found, facts()))


def test_tables_outside_replication_are_a_warning_where_they_were_chosen(found: Outputs) -> None:
    seen = {name: galera(tables_not_replicated="app.m (MyISAM)")(each) for name, each in facts().items()}
    checks = all_checks(found, seen)
    assert failed(checks) == []
    [warning] = [check for check in checks if check.warns]
    assert "moving-in.md" in warning.remedy


def status(part: str, **changed: Any) -> Callable[[HostFacts], HostFacts]:
    return lambda seen: replace(
        seen, node_status={**seen.node_status, part: {**seen.node_status[part], **changed}}
    )


def space(**changed: Any) -> Callable[[HostFacts], HostFacts]:
    return lambda seen: replace(seen, space=replace(seen.space, **changed))


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
    (
        "rows that stay on one node",
        galera(tables_not_replicated="app.m (MyISAM)", wsrep_mode="STRICT_REPLICATION"),
        ("cluster", "app.m (MyISAM)"),
    ),
    ("a node that does not say its tables", without("tables_not_replicated"), ("cluster", "of galera-2")),
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
    (
        "a store that lets in anybody",
        lambda seen: replace(seen, etcd_clients="clients need no user: an unfinished change"),
        ("galera-2", "clients need no user: an unfinished change"),
    ),
    (
        "a store's certificate that has expired",
        lambda seen: replace(seen, etcd_clients="etcd-server.crt expired on 2026-01-01. Remedy: `pulumi up`"),
        ("galera-2", "etcd-server.crt expired on 2026-01-01. Remedy: `pulumi up`"),
    ),
    (
        "an engine in error",
        lambda seen: replace(seen, swarm="error", swarm_error="no space left on device"),
        ("galera-2", "btrfs, error (no space left on device)"),
    ),
    (
        "a ghost of a container",
        lambda seen: replace(seen, ghosts=("etcd.n2.x7",)),
        ("galera-2", "not: etcd.n2.x7"),
    ),
    ("a full disk", space(free=2_000_000_000), ("galera-2", "2.0 GB of 26.8 GB free")),
    (
        "a full disk of the system",
        lambda seen: replace(seen, system=replace(seen.system, free=1_000_000_000)),
        ("galera-2", "1.0 GB of 26.0 GB free"),
    ),
    (
        "data of a former epoch",
        status("self", epoch="e1"),
        ("galera-2", "the data's epoch is e1, the cluster's is e2"),
    ),
    ("data of no epoch", status("self", epoch=None), ("galera-2", "the data's epoch is unknown")),
    (
        "an image that tells nothing",
        lambda seen: replace(seen, node_status={}),
        ("galera-2", "no answer to galera-node status --json"),
    ),
    ("another MariaDB", galera(version="10.11.20"), ("cluster", "10.11.20 on galera-2")),
    ("another Galera", galera(wsrep_provider_version="26.4.22"), ("cluster", "26.4.22 on galera-2")),
    (
        "another sql_mode",
        galera(sql_mode=""),
        ("cluster", "sql_mode: the same on galera-1, empty on galera-2"),
    ),
    ("rows as statements", galera(binlog_format="MIXED"), ("cluster", "binlog_format is MIXED on galera-2")),
    (
        "commits in memory only",
        galera(innodb_flush_log_at_trx_commit="2"),
        ("cluster", "is 2 on galera-2, not 1"),
    ),
    ("a node that replicates nothing", galera(wsrep_on="OFF"), ("cluster", "wsrep_on is OFF on galera-2")),
    ("a node that is only read", galera(read_only="ON"), ("cluster", "read_only is ON on galera-2")),
    ("numbers of another node", galera(auto_increment_offset="1"), ("cluster", "not every node's own")),
    (
        "another image of the database",
        lambda seen: replace(seen, images={**seen.images, "galera": "sha256:01d"}),
        ("cluster", "9a1e on galera-1, 01d on galera-2"),
    ),
    (
        "no store",
        lambda seen: replace(seen, images={"galera": "sha256:9a1e"}),
        ("cluster", "none on galera-2"),
    ),
    (
        "a store with another content",
        lambda seen: replace(seen, etcd_content={48: (1, 9), 40: (1, 9)}),
        ("cluster", "at revision 48, not the same: galera-1, galera-3 / galera-2"),
    ),
    (
        "a store that was seen at other revisions",
        lambda seen: replace(seen, etcd_content={56: (168, 9), 64: (192, 9)}),
        ("cluster", "not seen at a common revision"),
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


RECORDS: list[tuple[str, dict[str, Any], str]] = [
    ("a cluster that is still open", {"cluster": {"phase": "open", "epoch": "e2"}}, "open, members"),
    ("a Primary component of two", {"view": ["galera-1", "galera-2"]}, "last Primary galera-1, galera-2"),
    (
        "a member too many",
        {"members": {name: {} for name in (*NAMES[:3], "gone")}},
        "members galera-1, galera-2, galera-3, gone",
    ),
    (
        "a member with a problem",
        {"members": {"galera-3": {"problem": "its position is unknown"}}},
        "galera-3: its pos",
    ),
    ("a forgotten member", {"members": {"galera-3": {"forgotten": True}}}, "galera-3: forgotten"),
    ("no record", {"cluster": None, "store": "etcd does not answer"}, "unknown, members none"),
]


@pytest.mark.parametrize(("what", "told", "expected"), RECORDS, ids=[row[0] for row in RECORDS])
def test_what_the_store_knows_must_fit_the_cluster(
    found: Outputs, what: str, told: dict[str, Any], expected: str
) -> None:
    seen = {}
    for name, host in facts().items():
        merged = dict(host.node_status)
        for key, value in told.items():
            known = key == "members" and set(value) <= set(merged[key] if merged else ())
            merged[key] = {**merged[key], **value} if known else value
        seen[name] = replace(host, node_status=merged)
    texts = [text for where, text in failed(all_checks(found, seen)) if where == "cluster"]
    assert any(expected in text for text in texts), texts


@pytest.mark.parametrize(
    ("others", "told", "not_told"),
    [
        (True, "label-add galera=false galera-2", "operations recover"),
        (False, "operations recover", "-delete"),
    ],
    ids=["others serve", "nobody does"],
)
def test_a_node_that_does_not_come_up_is_named_with_why_and_with_what_to_do(
    found: Outputs, others: bool, told: str, not_told: str
) -> None:
    """Its data is thrown away by nobody but a person, and not where it may be the only one."""
    ended = "mariadbd has ended 3 times in a row before it answered anything"
    seen = facts()
    for name in NAMES[:3]:
        status = seen[name].node_status
        members = {**status["members"], "galera-2": {**status["members"]["galera-2"], "problem": ended}}
        kept = seen[name].galera if others and name != "galera-2" else {}
        seen[name] = replace(seen[name], galera=kept, node_status={**status, "members": members})
    (check,) = [
        each for each in all_checks(found, seen) if each.where == "galera-2" and "Galera node" in each.what
    ]
    assert (check.ok, check.found) == (False, f"no answer: {ended}")
    assert "If memory or disk is short there, mend that. If its data is broken" in check.remedy
    assert told in check.remedy
    assert not_told not in check.remedy
    (other,) = [
        each for each in all_checks(found, seen) if each.where == "galera-1" and "Galera node" in each.what
    ]
    assert (other.ok, other.remedy) == (others, "")


WARNS: list[tuple[str, Callable[[HostFacts], HostFacts], str, str]] = [
    ("little room", space(free=5_000_000_000), "5.0 GB of 26.8 GB free", "docker system df"),
    ("no reserve", space(reserve=False), "the reserve is gone", "fallocate"),
    (
        "btrfs short of metadata",
        space(unallocated=1 << 20, metadata_used=250_000_000),
        "btrfs' metadata is 93 % full and can't grow",
        "docker system df",
    ),
]


@pytest.mark.parametrize(("what", "change", "told", "remedy"), WARNS, ids=[row[0] for row in WARNS])
def test_what_will_not_hold_for_long_is_a_warning(
    found: Outputs, what: str, change: Callable[[HostFacts], HostFacts], told: str, remedy: str
) -> None:
    seen = facts()
    seen["galera-2"] = change(seen["galera-2"])
    checks = all_checks(found, seen)
    assert failed(checks) == []
    (warning,) = [check for check in checks if check.warns]
    assert (warning.where, told in warning.found, remedy in warning.remedy) == ("galera-2", True, True)


def test_metadata_that_may_still_grow_is_no_warning(found: Outputs) -> None:
    seen = facts()
    seen["galera-2"] = space(metadata_used=250_000_000)(seen["galera-2"])
    assert [check for check in all_checks(found, seen) if check.warns] == []


def test_each_state_of_an_engine_has_its_remedy(found: Outputs) -> None:
    seen = facts()
    seen["galera-2"] = replace(seen["galera-2"], swarm="error", ghosts=("galera.n2.x1",))
    remedies = {check.remedy for check in all_checks(found, seen) if not check.ok}
    assert remedies == {
        "`up` restarts the engine of galera-2 once the other hosts are well; by hand, with room on its disk "
        "and the other nodes Synced: systemctl reset-failed docker; systemctl restart docker"
    }


def test_a_node_that_lags_behind_what_was_seen_before_is_found(found: Outputs) -> None:
    def read(**positions: int) -> dict[str, Answer]:
        return {
            name.replace("_", "-"): Answer(f"1\nwsrep_last_committed\t{at}\n")
            for name, at in positions.items()
        }

    good = read(galera_1=4711, galera_2=4720, galera_3=4712)
    assert failed(galera_checks.of_positions(found, facts(), good)) == []
    bad = {**good, **read(galera_2=4710)}
    assert failed(galera_checks.of_positions(found, facts(), bad)) == [("galera-2", "at 4710")]
    assert len(failed(galera_checks.of_positions(found, facts(), {}))) == 3


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
    assert failed(galera_checks.of_row(found, Answer(), everywhere)) == []
    without = {**everywhere, "galera-3": Answer("")}
    assert failed(galera_checks.of_row(found, Answer(), without)) == [("galera-3", "not there")]
    broken = {**everywhere, "galera-3": Answer(error="ERROR 1047 (08S01): WSREP has not yet prepared node")}
    assert failed(galera_checks.of_row(found, Answer(), broken))[0][1].startswith("ERROR 1047")


def test_a_row_that_could_not_be_written_fails_on_every_node(found: Outputs) -> None:
    checks = galera_checks.of_row(found, Answer(error="ERROR 2002: can't connect"), {})
    assert len(failed(checks)) == 1 + 3


class Hosts:
    """Hosts of which only `good` can drop a table; `asked` in order."""

    def __init__(self, *good: str) -> None:
        self.good, self.asked, self.kept = good, list[str](), dict[str, str]()

    async def run(self, name: str, text: str, stdin: str = "") -> Answer:
        self.asked.append(name)
        assert "DROP TABLE IF EXISTS `app`.`verify_1`" in text
        return Answer() if name in self.good else Answer(error=f"{name} is not ready")

    async def run_all(self, texts: Mapping[str, str], stdin: str = "", limit: float = 0.0) -> object:
        self.kept.update(texts)
        return {}


def test_the_table_is_dropped_on_any_node_that_can(found: Outputs) -> None:
    hosts = Hosts("galera-2", "galera-3")
    tried = asyncio.run(verify._drop(hosts, found, "verify_1"))  # type: ignore[arg-type]
    assert hosts.asked == ["galera-1", "galera-2"]
    assert failed(galera_checks.of_clean_up(found, "verify_1", tried)) == []
    # Nor is it there again on any of them after a power cut.
    assert list(hosts.kept) == list(found.members)
    assert all(
        "wsrep_sync_wait = 1" in text and "sync -f /var/lib/mysql" in text for text in hosts.kept.values()
    )


def test_a_table_that_stays_is_reported_with_its_name_and_why(found: Outputs) -> None:
    tried = asyncio.run(verify._drop(Hosts(), found, "verify_1"))  # type: ignore[arg-type]
    assert list(tried) == list(found.members)
    ((where, told),) = failed(galera_checks.of_clean_up(found, "verify_1", tried))
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

        async def run_all(
            self, texts: Mapping[str, str], stdin: str = "", limit: float = 0.0
        ) -> dict[str, Answer]:
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
  "info --format") echo "btrfs|active|n1|all is fine" ;;
  "network inspect") printf 'encrypted\n\n' ;;
  "ps -q") printf 'c1\nc4\nc2\nc3\n' ;;
  "inspect --format") printf '%s\n' 'c1|true|galera|sha256:9a1e|/galera.n1.a' \
    'c4|false|etcd|sha256:e7cd|/etcd.n1.old' 'c2|true|etcd|sha256:e7cd|/etcd.n1.b' \
    'c3|true||sha256:123|/mine' ;;
  "node ls") printf 'n1=galera-1=Leader\nn2=galera-2=Reachable\nn3=galera-3=Reachable\nn4=galera-4=\n' ;;
  "exec -e") [[ $4 == c2 ]] || exit 1; shift 4; exec "$@" ;;
  "exec -u") [[ $5 == c1 && ! -e $host/down ]] || exit 1; shift 5; exec "$@" ;;
esac
"""
ETCDCTL = r"""
case $* in
  *"endpoint health") [[ ! -e $host/ill ]] ;;
  *"member list -w json") echo '{"header":{"cluster_id":77},"members":[{},{},{}]}' ;;
  *"get majority -w json") echo '{"header":{"cluster_id":77,"revision":51}}' ;;
  *--rev=48*) echo '[{"HashKV":{"hash":7,"compact_revision":9}}]' ;;
  *--rev=40*) echo '[{"HashKV":{"hash":5,"compact_revision":9}}]' ;;
esac
"""
MARIADB = r"""
read -r first
[[ $first == *wsrep_local_state_comment* ]] && printf 'wsrep_cluster_size\t3\nwsrep_ready\tON\n'
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host")
    made.program("docker", DOCKER)
    made.program("etcdctl", ETCDCTL)
    made.program("etcd-member", '[[ $1 == clients ]] && echo "users until 2036-11-26"')
    made.program("mariadb", MARIADB)
    made.program("galera-node", '[[ $* == "status --json" ]] && printf \'{\n"view": ["galera-1"]\n}\n\'')
    made.program("findmnt", "echo '/dev/mapper/docker_vg-docker_lv1[/sub] btrfs'")
    made.program("lvs", "echo '  docker_vg/docker_lv1'")
    made.program("df", "printf '%s\\n' 'Mounted 1B-blocks Avail' '/ 1000 900' '/var/lib/docker 3000 2000'")
    made.program("btrfs", "printf ' Device unallocated:\\t\\t 500\\nMetadata,DUP: Size:100, Used:7 (7%%)\\n'")
    made.program("ip", "printf 'src 10.0.0.1 dst 10.144.12.2\\n\\tproto esp spi 0x1\\n'")
    return made


@pytest.mark.parametrize(
    ("service", "socket", "asks"),
    [
        ("inactive", "active", False),
        ("failed", "active", False),
        ("inactive", "inactive", True),  # started in another way; the question starts nothing
        ("active", "active", True),
        ("activating", "active", True),
    ],
)
def test_an_engine_that_somebody_has_stopped_is_not_started_by_a_question(
    found: Outputs, host: FakeHost, service: str, socket: str, asks: bool
) -> None:
    host.program("docker", f'[[ ! ${{DOCKER_HOST:-}} ]] || exit 1; echo >>"$host/asked"\n{DOCKER}')
    host.program(
        "systemctl",
        f"state={service}; [[ $* != *docker.socket ]] || state={socket}\n"
        '[[ $1 == -q ]] || echo "$state"; [[ $state == active ]]',
    )
    found = replace(found, unlock_keys=("SWMKEY-1-x",))
    seen = cluster_facts.parse(host.run(host_looks.look(found, True, True)).out)
    assert seen.engine == service
    assert (host.folder / "asked").exists() is asks
    assert seen.driver == ("btrfs" if asks else "")
    assert seen.volume == "docker_vg/docker_lv1"


def test_the_script_for_a_host_prints_what_is_read_from_it(found: Outputs, host: FakeHost) -> None:
    ran = host.run(host_looks.look(found, True, True))
    assert ran.code == 0, ran.err
    assert cluster_facts.parse(ran.out) == HostFacts(
        mount=("/dev/mapper/docker_vg-docker_lv1[/sub]", "btrfs"),
        volume="docker_vg/docker_lv1",
        driver="btrfs",
        swarm="active",
        swarm_error="all is fine",
        node="n1",
        ghosts=("etcd.n1.old",),
        images={"galera": "sha256:9a1e", "etcd": "sha256:e7cd"},
        space=Space(3000, 2000, 500, 100, 7, False),
        system=Space(1000, 900),
        node_status={"view": ["galera-1"]},
        managers=votes("n1=galera-1=Leader", "n2=galera-2=Reachable", "n3=galera-3=Reachable"),
        network_options=frozenset({"encrypted"}),
        ipsec_peers=frozenset({"10.144.12.2"}),
        galera={"wsrep_cluster_size": "3", "wsrep_ready": "ON"},
        etcd_healthy=True,
        etcd_members=3,
        etcd_cluster="77",
        etcd_clients="users until 2036-11-26",
        etcd_content={48: (7, 9), 40: (5, 9)},
    )


def test_an_engine_that_was_there_before_is_known_by_the_note_on_its_host(
    found: Outputs, host: FakeHost
) -> None:
    script = host_looks.look(found, True, True)
    assert not cluster_facts.parse(host.run(script).out).kept
    for noted in ("kept", "brought"):
        note = host.file("engine", f"{noted}\n")
        ran = host.run(script.replace(f"{NOTES}/engine", str(note)))
        assert cluster_facts.parse(ran.out).kept == (noted == "kept")


def test_a_brief_look_asks_for_nothing_but_whether_a_host_is_well(found: Outputs, host: FakeHost) -> None:
    ran = host.run(host_looks.brief_look(found, True, True))
    assert ran.code == 0, ran.err
    seen = cluster_facts.parse(ran.out)
    assert seen == HostFacts(
        driver="btrfs",
        swarm="active",
        swarm_error="all is fine",
        node="n1",
        ghosts=("etcd.n1.old",),
        images={"galera": "sha256:9a1e", "etcd": "sha256:e7cd"},
        space=Space(3000, 2000),
        system=Space(1000, 900),
        managers=votes("n1=galera-1=Leader", "n2=galera-2=Reachable", "n3=galera-3=Reachable"),
        node_status={"view": ["galera-1"]},
        galera={"wsrep_cluster_size": "3", "wsrep_ready": "ON"},
        etcd_healthy=True,
    )
    # `up` waits for it, and on small hosts each question takes a second.
    assert len(ran.called("docker")) == 6
    for other in ("lvs", "btrfs", "ip"):
        assert ran.called(other) == []
    for question in ("wsrep_local_state_comment", "wsrep_cluster_status"):
        assert question in host_looks.brief_look(found, True, True)
    assert "information_schema" not in host_looks.brief_look(found, True, True)


def test_what_one_host_says_for_all_is_asked_of_no_other(found: Outputs, host: FakeHost) -> None:
    asked = cluster_facts.parse(host.run(host_looks.brief_look(found, True, True)).out)
    ran = host.run(host_looks.brief_look(found, True, True, nodes=False, records=False))
    assert ran.code == 0, ran.err
    assert (len(ran.called("docker")), ran.called("galera-node")) == (5, [])
    assert cluster_facts.parse(ran.out) == replace(asked, managers=(), node_status={})


MEET = """
meet() {
  touch "$host/$1"
  for ((n = 0; n < 100; n++)); do [[ ! -e $host/$2 ]] || return 0; sleep 0.05; done
  exit 1
}
case "$1 $2" in
  "info --format") meet info list ;; "ps -q") meet list info ;;
  "exec -e") meet store database ;; "exec -u") meet database nodes ;; "node ls") meet nodes store ;;
esac
"""


def test_a_brief_look_asks_side_by_side_what_does_not_rest_on_one_another(
    found: Outputs, host: FakeHost
) -> None:
    alone = host.run(host_looks.brief_look(found, True, True))
    host.program("docker", MEET + DOCKER)  # each question is answered once another one is asked
    ran = host.run(host_looks.brief_look(found, True, True))
    assert (ran.code, ran.out) == (0, alone.out), ran.err


def test_a_part_of_a_brief_look_that_fails_amid_its_answer_does_not_spoil_the_others(
    found: Outputs, host: FakeHost
) -> None:
    whole = cluster_facts.parse(host.run(host_looks.brief_look(found, True, True)).out)
    host.program("mariadb", "printf 'wsrep_cluster_size\\t3\\nwsrep_'; kill -9 $PPID")
    ran = host.run(host_looks.brief_look(found, True, True))
    assert ran.code == 0, ran.err
    seen = cluster_facts.parse(ran.out)
    assert seen.galera.get("wsrep_cluster_size") in (None, "3")
    assert replace(seen, galera={}) == replace(whole, galera={}, node_status={})


def test_a_brief_look_at_a_sick_host_shows_what_is_amiss(found: Outputs, host: FakeHost) -> None:
    host.file("down", "")
    host.file("ill", "")
    seen = cluster_facts.parse(host.run(host_looks.brief_look(found, True, True)).out)
    assert (seen.galera, seen.store_healthy) == ({}, False)
    worker = host.run(host_looks.brief_look(found, False, False))
    assert not [call for call in worker.called("docker") if call.startswith(("docker exec", "docker node"))]


@pytest.mark.parametrize("store", ["etcd", "consul"])
def test_a_brief_look_at_a_host_without_a_member_finds_none_that_is_well(
    found: Outputs, host: FakeHost, store: str
) -> None:
    host.program("docker", DOCKER.replace("|etcd|", "|other|").replace("|galera|", "|another|"))
    seen = cluster_facts.parse(host.run(host_looks.brief_look(replace(found, store=store), True, True)).out)
    assert seen.swarm == "active"
    assert (seen.galera, seen.store_healthy) == ({}, False)


def test_what_has_been_compacted_by_one_member_only_is_not_compared(found: Outputs) -> None:
    seen = facts()
    seen["galera-2"] = replace(seen["galera-2"], etcd_content={48: (1, 47), 40: (120, 9)})
    assert failed(all_checks(found, seen)) == []


def test_a_part_that_fails_does_not_hide_the_others(found: Outputs, host: FakeHost) -> None:
    host.file("down", "")
    ran = host.run(host_looks.look(found, True, True))
    assert ran.code == 0, ran.err
    seen = cluster_facts.parse(ran.out)
    assert seen.galera == {}
    assert seen.etcd_members == 3


def test_the_password_is_in_no_script(found: Outputs) -> None:
    texts = [
        host_looks.look(found, True, True),
        cluster_facts.write_row(found, "t"),
        cluster_facts.read_row(found, "t"),
        cluster_facts.drop_table(found, "t"),
    ]
    assert not [text for text in texts if "secret-" in text]


def test_a_node_in_maintenance_is_named_with_who_and_why_and_fails_nothing(found: Outputs) -> None:
    note = '{"why": "maintenance", "by": "ann@desk", "at": "2026-11-30 04:00 UTC", "text": "noisy disk"}'
    status = node_status(1)
    status["members"]["galera-2"] = {**status["members"]["galera-2"], "maintenance": True, "note": note}
    told = facts()
    told["galera-1"] = replace(told["galera-1"], node_status=status)
    (check,) = [each for each in galera_checks.of_galera(found, told) if "may send clients" in each.what]
    assert (check.where, check.ok, check.warns) == ("galera-2", True, True)
    assert check.found == "no: in maintenance by ann@desk since 2026-11-30 04:00 UTC, noisy disk"
    assert check.remedy == "`python -m operations maintenance galera-2 off` ends it"
    assert not [each for each in galera_checks.of_galera(found, facts()) if "may send clients" in each.what]


@pytest.mark.parametrize(("why", "words"), [("replaced", "replace"), ("upgraded", "upgrade-hosts")])
def test_what_was_broken_off_is_ended_by_what_has_begun_it(found: Outputs, why: str, words: str) -> None:
    """Who was drained stays so when only the maintenance ends."""
    status = node_status(1)
    note = json.dumps({"why": why})
    status["members"]["galera-2"] = {**status["members"]["galera-2"], "maintenance": True, "note": note}
    told = facts()
    told["galera-1"] = replace(told["galera-1"], node_status=status)
    (check,) = [each for each in galera_checks.of_galera(found, told) if "may send clients" in each.what]
    assert check.remedy == f"`python -m operations {words} galera-2` ends it"


def test_what_a_person_has_decided_is_shown_with_what_it_left_behind(found: Outputs) -> None:
    decided = [
        {"what": "forget galera-3", "by": "ann@desk", "at": "2026-11-30 03:59:00 UTC", "lost": "x"},
        {"what": "recover-from galera-1", "by": "ben@desk", "at": "2026-11-30 04:00:00 UTC", "lost": "y"},
    ]
    told = facts()
    told["galera-1"] = replace(told["galera-1"], node_status={**node_status(1), "decided": decided})
    (check,) = [each for each in galera_checks.of_galera(found, told) if "decided" in each.what]
    assert check.found == "2026-11-30 04:00:00 UTC by ben@desk: recover-from galera-1; left behind: y"
    assert not [each for each in galera_checks.of_galera(found, facts()) if "decided" in each.what]


def test_a_host_that_a_broken_off_change_has_left_held_back_is_named(found: Outputs) -> None:
    told = facts()
    told["galera-1"] = cluster_facts.parse(
        printed(1).replace("n3=galera-3=Reachable", "n3=galera-3=Reachable=Pause")
    )
    (check,) = [each for each in galera_checks.of_galera(found, told) if "starts containers" in each.what]
    assert told["galera-1"].managers == facts()["galera-1"].managers
    assert (check.where, check.ok) == ("galera-3", False)
    assert "--availability active galera-3" in check.remedy
    assert not [each for each in galera_checks.of_galera(found, facts()) if "starts containers" in each.what]
