"""Hosts of one's own and pools in the settings: which hosts they make, and every reason to refuse one."""

from __future__ import annotations

import json
from typing import Any

import pytest

import settings
from settings import Settings, SettingsError, parse
from settings.servers import names_of
from tests.unit.program import SETTINGS

pytestmark = pytest.mark.unit

DB1: dict[str, Any] = {"name": "db1", "address": "10.0.0.1"}
DB2: dict[str, Any] = {"name": "db2", "address": "10.0.0.2"}
DB3: dict[str, Any] = {"name": "db3", "address": "10.0.0.3"}
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKm2"


@pytest.fixture(autouse=True)
def agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that holds a key."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")


def config(servers: dict[str, Any], **sections: Any) -> dict[str, Any]:
    kept = {key: SETTINGS[key] for key in ("discovery", "galera")}
    return {key: json.dumps(value) for key, value in {**kept, "servers": servers, **sections}.items()}


def own(*hosts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "existing", "hosts": list(hosts or (DB1, DB2, DB3)), **more}


def pools(*given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"domain": "example.com", "datacenter": "tor01", "firewall": False, "pools": list(given), **more}


def problems(servers: dict[str, Any], **sections: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(config(servers, **sections))
    return caught.value.problems


def read(servers: dict[str, Any], **sections: Any) -> Settings:
    return parse(config(servers, **sections))


def test_three_hosts_of_one_s_own_need_a_name_and_an_address_each() -> None:
    servers = read(own()).servers
    assert servers.manager_names == ["db1", "db2", "db3"]
    assert servers.worker_names == []
    assert not servers.orders
    assert [(host.user, host.port, host.disk, host.reached_at) for host in servers.own[:1]] == [
        ("root", 22, None, "10.0.0.1")
    ]
    assert servers.place == "own"


def test_all_that_may_be_said_of_a_host_is_read() -> None:
    said = {
        **DB1,
        "sshHost": "db1.example.com",
        "user": "deploy",
        "port": 2222,
        "hostKey": f"db1.example.com {HOST_KEY} root@db1\n",
        "role": "worker",
        "disk": "/dev/disk/by-id/scsi-0",
    }
    servers = read(own(DB2, said, datacenter="rack-7")).servers
    host = servers.own[1]
    assert (servers.manager_names, servers.worker_names) == (["db2"], ["db1"])
    assert (host.reached_at, host.user, host.port) == ("db1.example.com", "deploy", 2222)
    assert host.host_key == HOST_KEY
    assert host.disk == "/dev/disk/by-id/scsi-0"
    assert {each.datacenter for each in servers.planned} == {"rack-7"}


def test_the_key_is_a_file_a_secret_or_the_agent_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK")
    (problem,) = problems(own())
    assert problem.startswith("swarm-galera:ssh.privateKeyFile: hosts of your own let in nobody")
    assert read(own(), ssh={"privateKeyFile": __file__}).ssh.has_private_key
    found = read(own(), ssh={"privateKey": "marked-key"})
    assert "marked-key" not in repr(found)


def test_a_key_in_plain_text_counts_as_disclosed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "in plain text" in settings._key_in_plain({"ssh": '{"privateKey": "k"}'}, is_secret=False)
    for mine, secret in (({"ssh": '{"privateKey": "k"}'}, True), ({"ssh": "{}"}, False), ({}, False)):
        assert not settings._key_in_plain(mine, secret)


def test_pools_stand_beside_the_section_s_own_hosts_managers_first() -> None:
    apps = {"name": "apps", "count": 2, "cores": 8}
    far = {"name": "far", "count": 2, "role": "manager", "datacenter": "dal13"}
    mine = {"name": "mine", "kind": "existing", "hosts": [DB1, {**DB2, "role": "worker"}]}
    given = pools(apps, far, mine, workers=1, managers=2, prefix="db")
    servers = read(given, ssh={"publicKey": "ssh-ed25519 AAAA"}).servers
    assert servers.manager_names == ["db-1", "db-2", "db-far-1", "db-far-2", "db1"]
    assert servers.worker_names == ["db-3", "db-apps-1", "db-apps-2", "db2"]
    cores = {host.name: host.ordered.cores for host in servers.planned if host.ordered}
    assert (cores["db-3"], cores["db-apps-1"]) == (1, 8)
    assert {host.name: host.datacenter for host in servers.planned}["db-far-1"] == "dal13"
    assert names_of(given) == (servers.manager_names, servers.worker_names)


def test_names_are_read_of_sections_that_are_not_checked() -> None:
    assert names_of({}) == (["galera-1", "galera-2", "galera-3"], [])
    assert names_of({"prefix": "db", "managers": 1, "workers": 1}) == (["db-1"], ["db-2"])
    assert names_of(own(DB1, {**DB2, "role": "worker"})) == (["db1"], ["db2"])


@pytest.mark.parametrize(
    "section",
    [
        {"kind": "existing", "hosts": ["db1"]},
        {"kind": "existing", "hosts": {"name": "db1"}},
        {"kind": "existing", "hosts": [{"address": "10.0.0.11"}]},
        {"kind": "existing", "hosts": [None]},
        {"pools": ["apps"]},
        {"pools": [{"name": "apps", "count": "two"}]},
        {"pools": [{"name": "apps", "kind": "existing", "hosts": 3}]},
        {"managers": "three"},
    ],
)
def test_a_section_that_can_not_be_read_names_nobody_and_raises_nothing(section: dict[str, Any]) -> None:
    """`operations` look before the program does, which then says what is wrong."""
    assert names_of(section) == ([], [])


def test_a_key_without_a_value_in_a_pool_says_nothing() -> None:
    empty = dict.fromkeys(("domain", "datacenter", "cores", "memory", "disks", "localDisk", "tags"))
    servers = read(pools({"name": "a", "count": 1, **empty}, cores=2, disks=[25, 100])).servers
    (made,) = [host.ordered for host in servers.planned if host.name == "galera-a-1"]
    assert made == servers.each


def test_null_in_a_pool_means_what_it_means_in_the_section() -> None:
    servers = read(pools({"name": "a", "count": 1, "os": None, "image": "my-image"})).servers
    (made,) = [host.ordered for host in servers.planned if host.name == "galera-a-1"]
    assert made is not None
    assert (made.os, made.image) == (None, "my-image")


def test_labels_say_which_workers_bear_a_node_of_the_database() -> None:
    data = {"name": "data", "count": 2, "labels": {"galera": True, "rack": 7}}
    servers = read(pools(data, {"name": "apps", "count": 1})).servers
    assert servers.data_names == [f"galera-{n}" for n in (1, 2, 3)] + ["galera-data-1", "galera-data-2"]
    labels = next(host for host in servers.planned if host.name == "galera-data-1").node_labels
    assert labels == {"datacenter": "tor01", "galera": "true", "rack": "7"}


BAD_HOSTS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "db1.example.com"}, "name", "no domain"),
    ({"name": "DB1"}, "name", "lower-case"),
    ({"address": "db1"}, "address", "no IPv4 address"),
    ({"address": "fd00::1"}, "address", "no IPv4 address"),
    ({"address": "127.0.0.1"}, "address", "that other hosts reach"),
    ({"address": "169.254.1.1"}, "address", "that other hosts reach"),
    ({"sshHost": "root@db1"}, "sshHost", "neither an IPv4 address nor a name"),
    ({"user": "no body"}, "user", "no user's name"),
    ({"user": "$(id)"}, "user", "no user's name"),
    ({"port": 0}, "port", "greater than or equal to 1"),
    ({"port": 70000}, "port", "less than or equal to 65535"),
    ({"hostKey": "SHA256:abc"}, "hostKey", "ssh-keyscan"),
    ({"hostKey": f"{HOST_KEY}\n{HOST_KEY}"}, "hostKey", "one line"),
    ({"role": "data"}, "role", "'manager' or 'worker'"),
    ({"disk": "sdb"}, "disk", "/dev/disk/by-id"),
    ({"disk": "/dev/../etc/passwd"}, "disk", "is no device"),
    ({"key": "x"}, "key", "no such setting"),
]


@pytest.mark.parametrize(("wrong", "key", "said"), BAD_HOSTS)
def test_a_bad_host_is_refused_where_it_stands(wrong: dict[str, Any], key: str, said: str) -> None:
    (problem,) = problems(own({**DB1, **wrong}, DB2, DB3))
    assert problem.startswith(f"swarm-galera:servers.hosts.0.{key}: ")
    assert said in problem
    assert "Remedy: " in problem


LABELLED: dict[str, Any] = {"name": "d", "count": 1, "role": "manager", "labels": {"galera": "false"}}
BAD: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("servers.hosts.1.name", own(DB1, {**DB1, "address": "10.0.0.9"}, DB3), {}, "is that of another host"),
    ("servers.hosts", own(DB1, DB2), {}, "an even number of managers (2)"),
    ("servers.hosts", own({**DB1, "role": "worker"}), {}, "at least one"),
    ("servers.hosts", {"kind": "existing"}, {}, "no host is named"),
    ("servers.managers", own(managers=3), {}, "hosts has their names and roles"),
    ("servers.prefix", own(prefix="db", cores=4), {}, "prefix, cores are said of orders"),
    ("servers.datacenter", own(datacenter="Rack 7"), {}, "like rack-7"),
    ("servers.hosts", pools(hosts=[DB1]), {}, "set kind: existing"),
    ("servers.publishedPorts", own(publishedPorts=[80]), {}, "the firewall of ordered hosts"),
    ("servers.reloadToken", own(reloadToken={"db1": "x"}), {}, "db1 is a host of your own"),
    ("servers.replace", own(replace=["db9"]), {}, "db9 is no host of this stack. Remedy: take it out"),
    ("ssh.allowedCidrs", own(), {"ssh": {"allowedCidrs": ["10.0.0.0/8"]}}, "said of orders"),
    ("ssh", own(), {"ssh": {"privateKey": "k", "privateKeyFile": __file__}}, "keep one of the two"),
    (
        "galera.dataPath",
        own(),
        {"galera": {**SETTINGS["galera"], "dataPath": "/srv/db"}},
        "db1, db2, db3 have",
    ),
    (
        "servers.pools",
        pools({"name": "a", "count": 1}, {"name": "a", "count": 1}),
        {},
        "2 pools are called a",
    ),
    ("servers.pools.0.count", pools({"name": "a"}), {}, "a pool of no hosts"),
    ("servers.pools.0.hosts", pools({"name": "a", "count": 1, "hosts": [DB1]}), {}, "pools.0.kind: existing"),
    ("servers.pools.0.name", pools({"name": "A", "count": 1}), {}, "a part of host names"),
    ("servers.pools.0.cores", pools({"name": "a", "count": 1, "cores": 99}), {}, "less than or equal to 64"),
    ("servers.pools.0.disks", pools({"name": "a", "count": 1, "disks": [25]}), {}, "a second disk"),
    ("servers.pools.0.datacenter", pools({"name": "a", "count": 1, "datacenter": "x"}), {}, "short name"),
    (
        "servers.pools.0.transient",
        pools({"name": "a", "count": 1, "transient": True, "hourly": False}),
        {},
        "set hourly: true",
    ),
    (
        "servers.pools.0.labels.galera",
        pools({"name": "a", "count": 1, "labels": {"galera": "x"}}),
        {},
        '"true" or',
    ),
    (
        "servers.pools.0.labels.datacenter",
        pools({"name": "a", "count": 1, "labels": {"datacenter": "x"}}),
        {},
        "sets the label",
    ),
    ("servers.pools.0.labels", pools(LABELLED, managers=2), {}, "every manager bears a node"),
    (
        "servers.managers",
        pools({"name": "a", "count": 1, "role": "manager"}),
        {},
        "an even number of managers",
    ),
    ("servers.managers", pools({"name": "a", "count": 1}, managers=0), {}, "at least one"),
    (
        "servers.pools",
        pools({"name": "a", "count": 1, "labels": {"galera": True}}),
        {},
        "an even number survives",
    ),
    (
        "servers.domain",
        {"datacenter": "tor01", "firewall": False, "pools": [{"name": "a", "count": 1, "domain": "e.com"}]},
        {},
        "this is missing",
    ),
    (
        "ssh.publicKey",
        pools({"name": "a", "kind": "existing", "hosts": [{**DB1, "role": "worker"}]}),
        {},
        "do not know",
    ),
    (
        "servers.hosts",
        pools({"name": "a", "kind": "existing", "hosts": [{**DB1, "name": "galera-1", "role": "worker"}]}),
        {"ssh": {"publicKey": "ssh-ed25519 AAAA"}},
        "galera-1 is also the name of one that is ordered",
    ),
]


@pytest.mark.parametrize(("where", "servers", "sections", "said"), BAD)
def test_what_does_not_fit_together_is_refused_with_a_remedy(
    where: str, servers: dict[str, Any], sections: dict[str, Any], said: str
) -> None:
    (problem,) = problems(servers, **sections)
    assert problem.startswith(f"swarm-galera:{where}: ")
    assert said in problem
    assert "Remedy: " in problem
