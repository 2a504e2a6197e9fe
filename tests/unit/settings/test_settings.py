"""Settings: good ones are read with their defaults, bad ones are refused all at once with a remedy each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.host_scripts.engine import daemon_json
from settings import SettingsError, engine_options, layers, parse
from settings.ports import TAKEN_PORTS
from tests.unit.program import ROOT, SETTINGS

pytestmark = pytest.mark.unit


def config(**sections: Any) -> dict[str, Any]:
    """`SETTINGS` as Pulumi hands them over, sections merged with `sections`; None removes one."""
    merged: dict[str, Any] = {}
    for key in SETTINGS | sections:
        base, change = SETTINGS.get(key), sections.get(key, {})
        if change is None:
            continue
        value = {**base, **change} if isinstance(base, dict) and isinstance(change, dict) else change or base
        merged[key] = json.dumps(value) if isinstance(value, dict) else value
    return merged


def problems(**sections: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(config(**sections))
    return caught.value.problems


def test_the_engines_port_is_free_where_engines_are_reached_over_ssh() -> None:
    taken = {"loadBalancer": {**BALANCER, "statsPort": 2376}, "servers": {"publishedPorts": [2375]}}
    assert parse(config(**taken)).engine.ports == {}
    assert list(parse(config(engine={"access": "tls"})).engine.ports) == [2376]


def test_the_smallest_settings_give_three_managers_and_safe_defaults() -> None:
    settings = parse(config())
    assert settings.servers.manager_names == ["galera-1", "galera-2", "galera-3"]
    assert settings.servers.worker_names == []
    assert settings.servers.disks == (25, 25)
    assert settings.servers.firewall
    assert settings.servers.protect
    assert settings.network.encrypted
    assert settings.network.subnet == "10.20.0.0/24"
    assert settings.discovery.kind == "etcd"


def test_workers_are_numbered_after_the_managers() -> None:
    settings = parse(config(servers={"managers": 5, "workers": 2, "prefix": "db"}))
    assert settings.servers.manager_names[-1] == "db-5"
    assert settings.servers.worker_names == ["db-6", "db-7"]


def test_numbers_and_switches_in_galera_config_become_what_my_cnf_reads() -> None:
    given = {"max_connections": 300, "slow_query_log": True, "innodb_log_file_size": "256M"}
    settings = parse(
        config(galera={"config": given, "provider": {"gcs.fc_limit": 64, "gcs.sync_donor": True}})
    )
    expected = {"max_connections": "300", "slow_query_log": "ON", "innodb_log_file_size": "256M"}
    assert settings.galera.config == expected
    assert settings.galera.provider == {"gcs.fc_limit": "64", "gcs.sync_donor": "yes"}


@pytest.mark.parametrize("subnet", ["10.20.0.0/16", "172.16.0.0/24", "172.31.255.0/24", "192.168.7.0/24"])
def test_a_private_subnet_is_accepted(subnet: str) -> None:
    assert parse(config(network={"subnet": subnet})).network.subnet == subnet


def test_one_manager_and_any_workers_may_be_reloaded_or_replaced_at_a_time() -> None:
    reload = {"galera-2": 20261124, "galera-4": "x", "galera-5": "x"}
    servers = parse(config(servers={"workers": 3, "reloadToken": reload, "replace": ["galera-6"]})).servers
    assert servers.reload_token["galera-2"] == "20261124"
    assert servers.replace == ["galera-6"]


def test_the_credentials_are_left_to_the_provider() -> None:
    settings = parse({**config(), "username": "marked-user", "apiKey": "marked-key"})
    assert "marked" not in repr(settings)


STACK_FILES = ("Pulumi.dev.yaml", "Pulumi.tor01.yaml", "Pulumi.own.yaml")


@pytest.mark.parametrize("file", STACK_FILES)
def test_the_stack_files_of_the_checkout_are_accepted(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    values = yaml.safe_load((ROOT / file).read_text())["config"]
    mine = {
        key.removeprefix("swarm-galera:"): value for key, value in values.items() if "swarm-galera:" in key
    }
    parse({key: json.dumps(value) if isinstance(value, dict) else str(value) for key, value in mine.items()})


def test_both_old_ways_are_one_stack_file_each_as_the_page_about_them_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/how-to/coming-from-scripts.md").read_text()
    blocks = [
        yaml.safe_load(block)["config"]
        for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        if block.startswith("config:")
    ]
    (tmp_path / "initdb").mkdir()
    (tmp_path / "initdb" / "01.sql").write_text("CREATE TABLE word (id INT PRIMARY KEY);\n")
    monkeypatch.chdir(tmp_path)
    lab = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    walk, scripts = (
        parse(
            {
                key.removeprefix("swarm-galera:"): json.dumps(value)
                if isinstance(value, dict)
                else str(value)
                for key, value in {**lab, **block}.items()
                if "swarm-galera:" in key
            }
        )
        for block in blocks
    )
    assert (walk.discovery.kind, walk.galera.publish, scripts.discovery.kind) == ("etcd", "vip", "consul")
    assert walk.application is not None
    assert walk.load_balancer is not None
    assert (scripts.galera.data_path, scripts.galera.initdb) == ("/data/mysql", "initdb")


def test_the_default_provider_for_docker_is_off_in_every_stack_file() -> None:
    for file in STACK_FILES:
        values = yaml.safe_load((ROOT / file).read_text())["config"]
        assert values["pulumi:disable-default-providers"] == ["docker"]


def test_an_even_number_of_managers_is_refused_with_quorums_arithmetic() -> None:
    (problem,) = problems(servers={"managers": 4})
    assert problem.startswith("swarm-galera:servers.managers: an even number of managers (4) is refused")
    assert "(quorum), and 4 survive the loss of 1, no more than 3 would" in problem
    assert problem.endswith("Remedy: use 3 or 5")


def test_all_problems_are_told_at_once_and_nothing_is_said_to_have_happened() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(config(servers={"managers": 2, "memory": 1500, "wrong": 1}, galera={"image": "a"}, nettwork={}))
    assert len(caught.value.problems) == 5
    assert str(caught.value).startswith(
        "The stack's settings have 5 problems; nothing was ordered or changed:"
    )


BALANCER = {"image": "registry.lab:5000/haproxy:2.6-1"}


def test_there_is_a_load_balancer_only_where_its_section_is() -> None:
    assert parse(config()).load_balancer is None
    for given in (BALANCER, {**BALANCER, "readerPort": 3307, "statsPort": 29999}):
        found = parse(config(loadBalancer=given, servers={"publishedPorts": [6446, 6447]})).load_balancer
        assert found is not None
        assert found.ports == {
            "writerPort": 6446,
            "readerPort": given.get("readerPort", 6447),
            "statsPort": given.get("statsPort", 8404),
        }


SITE = {"image": "registry.lab:5000/swarm-galera/wordpress:6.1-2"}


def test_there_is_an_application_only_where_its_section_is() -> None:
    assert parse(config()).application is None
    found = parse(config(application=SITE, servers={"publishedPorts": [80]})).application
    assert found is not None
    assert (found.replicas, found.port, found.target_port) == (2, 80, 8080)
    assert (found.uploads, found.database, found.health, found.confidential) == ("/srv/uploads", None, [], [])


def test_what_an_application_is_given_is_taken_and_its_secrets_are_never_shown() -> None:
    given = {
        **SITE,
        "replicas": 5,
        "port": 8080,
        "env": {
            "LIMIT": 3,
            "DEBUG": False,
            "WORDPRESS_DB_PASSWORD_FILE": "/run/secrets/x",
            "PUBLIC_KEY": "k",
        },
        "secrets": {"mail.key": "marked-secret"},
        "uploads": None,
        "database": {"name": "blog", "user": "writer", "password": "marked-Pass$word-1"},
    }
    settings = parse(config(application=given, engine={"options": {"metrics-addr": "127.0.0.1:9323"}}))
    found = settings.application
    assert found is not None
    assert found.database is not None
    assert found.env == {
        "LIMIT": "3",
        "DEBUG": "false",
        "WORDPRESS_DB_PASSWORD_FILE": "/run/secrets/x",
        "PUBLIC_KEY": "k",
    }
    assert (found.database.name, found.database.account) == ("blog", "writer")
    assert found.confidential == ["secrets.mail.key", "database.password"]
    assert found.secrets["mail.key"].get_secret_value() == "marked-secret"
    assert "marked" not in repr(settings) + settings.model_dump_json()


def site(**changes: Any) -> dict[str, Any]:
    return {"application": {**SITE, **changes}}


@pytest.mark.parametrize(
    "given",
    [
        {"secrets": "marked"},
        {"secrets": {"pin": 4711471147114711}},
        {"secrets": {"application-salt": "marked"}},
        {"secrets": {"large": "marked" * 100_000}},
        {"database": {"password": 4711471147114711}},
        {"database": {"password": "marked"}},
        {"database": {"password": "marked with blanks"}},
    ],
)
def test_a_bad_secret_of_an_application_is_refused_without_showing_it(given: dict[str, Any]) -> None:
    (problem,) = problems(**site(**given))
    assert problem.startswith("swarm-galera:application.")
    assert "Remedy: " in problem
    assert "marked" not in problem
    assert "4711" not in problem


def test_the_database_is_on_a_port_of_the_hosts_only_where_that_is_said() -> None:
    assert (parse(config()).galera.publish, parse(config()).galera.ports) == ("none", {})
    for ports in ({}, {"writerPort": 3307}):
        settings = parse(config(**published(), loadBalancer={**BALANCER, **ports}))
        assert list(settings.galera.ports) == [3306]
    assert parse(config(**published("none"), loadBalancer={**BALANCER, "writerPort": 3306}))


def published(how: str = "vip") -> dict[str, Any]:
    return {"galera": {"image": "registry.lab:5000/galera:10.11-3", "publish": how}}


PATHS = [
    ("srv/mariadb", "not an absolute path"),
    ("", "not an absolute path"),
    ("/", "/ is the whole system"),
    ("/srv/mariadb/", "without / at its end"),
    ("//srv/mariadb", "not the shortest way"),
    ("/srv/./mariadb", "not the shortest way"),
    ("/srv/../etc", "not the shortest way"),
    ("/srv/maria db", "letters, digits and . _ - only"),
    ("/srv/maria,db", "letters, digits and . _ - only"),
    ("/srv/maria\ndb", "letters, digits and . _ - only"),
    ("/srv/datä", "letters, digits and . _ - only"),
    ("/srv/-mariadb", "no - at the beginning"),
    (f"/srv/{'x' * 60}", "more than 60 characters"),
    ("/var/lib/docker", "leave it out to have the data there"),
    ("/var/lib/docker/volumes/mine", "the engine alone may change"),
    ("/etc", "in /etc, which the hosts' system needs"),
    ("/usr/local/mariadb", "in /usr, which the hosts' system needs"),
    ("/run/mariadb", "in /run, which"),
    ("/tmp/mariadb", "in /tmp, which"),
    ("/var/lib/dpkg", "in /var/lib/dpkg, which"),
    ("/srv", "the folders of others in it"),
    ("/var/lib", "the folders of others in it"),
]
"""Places that the database's data can't have, and why."""

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("galera.tls.generation", {"galera": {"tls": {"generation": 0}}}, "greater than or equal to 1"),
    ("swarm.autolock", {"swarm": {"autolock": "perhaps"}}, "valid boolean"),
    ("swarm.unlockKeyGeneration", {"swarm": {"unlockKeyGeneration": 0}}, "greater than or equal to 1"),
    (
        "swarm",
        {"swarm": {"oldestUnlockKey": 2}},
        "oldestUnlockKey is 2, and the key in use is of generation 1",
    ),
    ("swarm.autolok", {"swarm": {"autolok": True}}, "known: autolock, unlockKeyGeneration, oldestUnlockKey"),
    ("galera.tls.names.0", {"galera": {"tls": {"names": ["10.0.0.1"]}}}, "is no domain name"),
    ("galera.tls.required", {"galera": {"tls": {"required": "perhaps"}}}, "valid boolean"),
    ("servers.managers", {"servers": {"managers": 0}}, "at least one"),
    ("servers.managers", {"servers": {"managers": -1}}, "at least one"),
    ("servers.managers", {"servers": {"managers": 6}}, "use 5 or 7"),
    ("servers.managers", {"servers": {"managers": 9}}, "at most 7"),
    ("servers.managers", {"servers": {"managers": "three"}}, "valid integer"),
    ("servers.workers", {"servers": {"workers": -1}}, "greater than or equal to 0"),
    ("servers.memory", {"servers": {"memory": 1500}}, "whole GB"),
    ("servers.memory", {"servers": {"memory": 512}}, "use 1024"),
    ("servers.cores", {"servers": {"cores": 0}}, "greater than or equal to 1"),
    ("servers.cores", {"servers": {"cores": 1642}}, "less than or equal to 64"),
    ("servers.disks", {"servers": {"disks": [25]}}, "second disk"),
    ("servers.disks", {"servers": {"disks": [25, 25, 25]}}, "localDisk: false"),
    ("servers.disks.1", {"servers": {"disks": [25, 0]}}, "greater than or equal to 10"),
    ("servers.nicSpeed", {"servers": {"nicSpeed": 54}}, "10, 100 or 1000"),
    ("servers.nicSpeed", {"servers": {"nicSpeed": 10000}}, "10, 100 or 1000"),
    ("servers.publishedPorts.0", {"servers": {"publishedPorts": [0]}}, "greater than or equal to 1"),
    ("servers.publishedPorts", {"servers": {"publishedPorts": [80], "firewall": False}}, "have a firewall"),
    ("servers.adopt", {"servers": {"adopt": {"galera-1": 7}}}, "ssh.publicKey or ssh.label"),
    ("ssh", {"ssh": {"label": "mine", "uploadLabel": "x", "privateKeyFile": __file__}}, "instead of label"),
    ("orderSettle", {"orderSettle": "soon"}, "valid number"),
    ("orderSettle", {"orderSettle": "0"}, "greater than 0"),
    ("orderSettle", {"orderSettle": "7200"}, "less than or equal to 3600"),
    ("servers.datacenter", {"servers": {"datacenter": "Toronto"}}, "like tor01"),
    ("servers.domain", {"servers": {"domain": "example"}}, "example.com"),
    ("servers.domain", {"servers": {"domain": "exa_mple.com"}}, "example.com"),
    ("servers.prefix", {"servers": {"prefix": "Galera"}}, "lower-case"),
    ("servers.prefix", {"servers": {"prefix": "db-"}}, "no hyphen last"),
    ("servers.os", {"servers": {"os": None}}, "exactly one of os and image"),
    ("servers.os", {"servers": {"image": "some-id"}}, "exactly one of os and image"),
    ("servers.tags.0", {"servers": {"tags": ["a,b"]}}, "letters, digits"),
    ("servers.publicSubnet", {"servers": {"publicSubnet": 5}}, "set publicVlan too"),
    ("servers.privateSubnet", {"servers": {"privateSubnet": 5}}, "set privateVlan too"),
    ("servers.transient", {"servers": {"transient": True, "hourly": False}}, "set hourly: true"),
    ("servers.privateOnly", {"servers": {"privateOnly": True, "publicVlan": 2263001}}, "remove publicVlan"),
    ("servers.publicVlan", {"servers": {"publicVlan": 2263001}}, "set privateVlan too"),
    ("servers.publicVlan", {"servers": {"publicVlan": 1234, "privateVlan": 2263002}}, "`slcli vlan list`"),
    ("servers.privateVlan", {"servers": {"privateVlan": 4094}}, "a VLAN's number"),
    ("servers.postInstallUrl", {"servers": {"postInstallUrl": "http://x/y"}}, "https"),
    ("servers.adopt", {"servers": {"adopt": {"web-1": 7}}}, "from galera-1 to galera-3"),
    ("servers.os", {"servers": {"os": "CENTOS_LATEST"}}, "servers.image"),
    ("servers.os", {"servers": {"os": "REDHAT_9_64"}}, "none"),
    ("servers.reloadToken", {"servers": {"reloadToken": {"web-1": "x"}}}, "from galera-1 to galera-3"),
    ("servers.reloadToken", {"servers": {"reloadToken": "2026-11"}}, 'write {galera-2: "2026-11"}'),
    ("servers.reloadToken.galera-1", {"servers": {"reloadToken": {"galera-1": ""}}}, "at least 1 character"),
    (
        "servers.reloadToken",
        {"servers": {"reloadToken": {"galera-1": "x", "galera-3": "x"}}},
        "one may be reloaded",
    ),
    ("servers.replace", {"servers": {"replace": ["galera-4"]}}, "from galera-1 to galera-3"),
    ("servers.replace", {"servers": {"replace": ["galera-1", "galera-2"]}}, "are managers"),
    (
        "servers.replace",
        {
            "servers": {
                "replace": ["galera-2", "galera-rows-1"],
                "pools": [{"name": "rows", "count": 2, "labels": {"galera": "true"}}],
            }
        },
        "are hosts with data: each is a database node, and only one",
    ),
    (
        "servers.replaceServer",
        {"servers": {"replaceServer": {"galera-9": 1}}},
        "galera-9 is no host of this stack",
    ),
    (
        "servers.pools",
        {"servers": {"pools": [{"name": "rows", "count": 1, "labels": {"galera": "true"}}]}},
        "4 nodes of the database, and an even number survives the loss of 1",
    ),
    (
        "arbitrator",
        {"arbitrator": {"image": "r/arbitrator:1"}, "servers": {"workers": 1}},
        "are an even number of votes",
    ),
    (
        "arbitrator",
        {
            "arbitrator": {"image": "r/arbitrator:1"},
            "servers": {"pools": [{"name": "rows", "count": 1, "labels": {"galera": "true"}}]},
        },
        "every host bears a node of the database",
    ),
    (
        "servers.replaceServer",
        {"servers": {"replaceServer": {"galera-2": 7}, "adopt": {"galera-2": 7}}},
        "galera-2 is in adopt, and nothing cancels a server that was there before",
    ),
    (
        "servers.replaceServer",
        {"servers": {"replaceServer": {"galera-2": 7}, "replace": ["galera-2"]}},
        "galera-2 stands in reloadToken or replace, too",
    ),
    (
        "servers.replaceServer",
        {"servers": {"managers": 1, "replaceServer": {"galera-1": 7}}},
        "galera-1 is the only manager",
    ),
    (
        "servers.replace",
        {"servers": {"replace": ["galera-1"], "reloadToken": {"galera-2": "x"}}},
        "are managers",
    ),
    (
        "servers.replace",
        {"servers": {"replace": ["galera-1"], "reloadToken": {"galera-1": "x"}}},
        "no reload",
    ),
    ("servers.replace", {"servers": {"replace": ["galera-1"], "managers": 1}}, "the only manager"),
    ("servers.manager", {"servers": {"manager": 3}}, "no such setting"),
    ("servers.domain", {"servers": {"domain": None}}, "Remedy: "),
    ("ssh.address", {"servers": {"privateOnly": True}}, "ssh.address: private"),
    ("ssh.allowedCidrs", {"ssh": {"allowedCidrs": []}}, "nobody reaches the hosts"),
    ("ssh.allowedCidrs.0", {"ssh": {"allowedCidrs": ["10.0.0.1/8"]}}, "198.51.100.7/32"),
    ("ssh.publicKey", {"ssh": {"publicKey": "-----BEGIN PRIVATE KEY-----"}}, ".pub file"),
    ("ssh", {"ssh": {"publicKey": "ssh-ed25519 AAAA", "label": "mine"}}, "keep one of the two"),
    ("ssh", {"ssh": {"privateKeyFile": __file__}}, "publicKey or label"),
    ("ssh", {"ssh": {"label": "mine", "privateKeyFile": "/no/such/key"}}, "correct the path"),
    ("engine.dns.0", {"engine": {"dns": ["dns.example.com"]}}, "by address"),
    ("engine.registryMirrors.0", {"engine": {"registryMirrors": ["mirror"]}}, "https://"),
    (
        "engine.insecureRegistries.0",
        {"engine": {"insecureRegistries": ["http://r:5000"]}},
        "without a scheme",
    ),
    ("engine.options.storage-driver", {"engine": {"options": {"storage-driver": "overlay2"}}}, "in btrfs"),
    ("engine.options.live-restore", {"engine": {"options": {"live-restore": True}}}, "swarm mode refuses"),
    ("engine.options.log-driver", {"engine": {"options": {"log-driver": "syslog"}}}, "kept bounded"),
    ("engine.options.dns", {"engine": {"options": {"dns": ["10.0.80.11"]}}}, "engine.dns sets it"),
    ("engine.options.debugg", {"engine": {"options": {"debugg": True}}}, "known: allow-nondistributable"),
    ("engine.options.debug", {"engine": {"options": {"debug": "yes"}}}, "give true or false"),
    ("engine.options.init", {"engine": {"options": {"init": True}}}, "first process of their own"),
    ("engine.options.default-shm-size", {"engine": {"options": {"default-shm-size": "1M"}}}, "64M"),
    ("engine.options.dns-opts", {"engine": {"options": {"dns-opts": ["ndots:2"]}}}, "without ndots"),
    (
        "engine.options.features",
        {"engine": {"options": {"features": {"containerd-snapshotter": True}}}},
        "{buildkit: true}",
    ),
    ("engine.options.mtu", {"engine": {"options": {"mtu": True}}}, "whole number from 576 to 9000"),
    (
        "engine.options.default-ulimits",
        {"engine": {"options": {"default-ulimits": {"nofile": {"Name": "core", "Soft": 1, "Hard": 1}}}}},
        "give a map like {nofile:",
    ),
    ("hosts.resolvers.0", {"hosts": {"resolvers": ["dns.example.com"]}}, "by address"),
    ("hosts.resolvers", {"hosts": {"resolvers": [f"10.0.80.{n}" for n in range(4)]}}, "at most 3 items"),
    ("hosts.searchDomains.0", {"hosts": {"searchDomains": ["a b.com"]}}, "no domain name"),
    ("hosts.motd", {"hosts": {"motd": "x" * 5000}}, "at most 4000 characters"),
    ("network.name", {"network": {"name": "ingress"}}, "choose another name"),
    ("network.subnet", {"network": {"subnet": "10.20.0.0/8"}}, "host bits set"),
    ("network.subnet", {"network": {"subnet": "fd00::/64"}}, "IPv4"),
    ("network.subnet", {"network": {"subnet": "172.17.5.0/24"}}, "docker0"),
    ("network.subnet", {"network": {"subnet": "10.0.0.0/24"}}, "ingress"),
    ("network.subnet", {"network": {"subnet": "8.8.8.0/24"}}, "not private"),
    ("network.subnet", {"network": {"subnet": "203.0.113.0/24"}}, "172.16.0.0/12"),
    ("network.subnet", {"network": {"subnet": "192.0.2.0/24"}}, "not private"),
    ("network.subnet", {"network": {"subnet": "198.18.0.0/16"}}, "not private"),
    ("network.subnet", {"network": {"subnet": "100.64.0.0/16"}}, "not private"),
    ("network.subnet", {"network": {"subnet": "172.32.0.0/16"}}, "not private"),
    ("network.subnet", {"network": {"subnet": "10.20.0.0/28"}}, "from /16 to /26"),
    ("network.subnet", {"servers": {"workers": 90}}, "10.20.0.0/20"),
    ("discovery.image", {"discovery": {"image": "etcd"}}, "version's tag"),
    ("discovery.image", {"discovery": {"image": "registry.lab:5000/etcd:latest"}}, "version's tag"),
    ("discovery.kind", {"discovery": {"kind": "zookeeper"}}, "etcd"),
    ("galera.image", {"galera": {"image": "Registry/Galera image"}}, "no image reference"),
    ("galera.clusterName", {"galera": {"clusterName": "a b"}}, "up to 32"),
    ("galera.database", {"galera": {"database": "mysql"}}, "belongs to the server"),
    ("galera.database", {"galera": {"database": "root"}}, "belongs to the server"),
    ("galera.database", {"galera": {"database": "a-b"}}, "letters, digits and _"),
    ("galera.config.wsrep_on", {"galera": {"config": {"wsrep_on": "OFF"}}}, "splits the cluster"),
    ("galera.config.loose-wsrep_x", {"galera": {"config": {"loose-wsrep_x": 1}}}, "splits the cluster"),
    ("galera.config.bind_address", {"galera": {"config": {"bind_address": "::1"}}}, "Remedy: remove it"),
    ("galera.config.datadir", {"galera": {"config": {"datadir": "/x"}}}, "volume galera-data"),
    (
        "galera.config.binlog-format",
        {"galera": {"config": {"binlog-format": "MIXED"}}},
        "set binlog_format: ROW",
    ),
    (
        "galera.config.innodb_flush_log_at_trx_commit",
        {"galera": {"config": {"innodb_flush_log_at_trx_commit": 0}}},
        "lose commits",
    ),
    ("galera.config", {"galera": {"config": {"x]\n[client": "y"}}}, "no name of a server option"),
    ("galera.config.sql_mode", {"galera": {"config": {"sql_mode": "A\n[client]"}}}, "one line"),
    ("galera.initdb", {"galera": {"initdb": "/no/such/folder"}}, "no folder"),
    ("galera.stopGrace", {"galera": {"stopGrace": 5}}, "greater than or equal to 10"),
    *(("galera.dataPath", {"galera": {"dataPath": path}}, said) for path, said in PATHS),
    ("galera.strictReplication", {"galera": {"strictReplication": "perhaps"}}, "valid boolean"),
    (
        "galera.config.innodb_buffer_pool_size",
        {"galera": {"config": {"innodb_buffer_pool_size": "2G"}}},
        "use 1536M or less",
    ),
    (
        "galera.provider.gcache.size",
        {"galera": {"provider": {"gcache.size": "20G"}}},
        "half of the data disk of 25 GB",
    ),
    ("engine.access", {"engine": {"access": "http"}}, "'ssh' or 'tls'"),
    (
        "servers.publishedPorts",
        {"engine": {"access": "tls"}, "servers": {"publishedPorts": [80, 2376]}},
        "root on a host",
    ),
    *(
        ("servers.publishedPorts", {"servers": {"publishedPorts": [80, port]}}, f"{port} ({what}): not for")
        for port, what in TAKEN_PORTS.items()
    ),
    (
        "servers.publishedPorts",
        {"servers": {"publishedPorts": [443, 2380, 22]}},
        "22 (SSH), 2380 (etcd's peers): not for everybody",
    ),
    (
        "engine.access",
        {"engine": {"access": "tls"}, "loadBalancer": {**BALANCER, "statsPort": 2376}},
        "taken by the load balancer (loadBalancer.statsPort)",
    ),
    (
        "engine.access",
        {"engine": {"access": "tls", "options": {"metrics-addr": "10.0.0.1:2376"}}},
        "taken by the engine (engine.options.metrics-addr)",
    ),
    (
        "application.port",
        {"engine": {"access": "tls"}, "application": {"image": "x/web:1", "port": 2376}},
        "taken on every host by the engine's API (engine.access)",
    ),
    *(
        (f"engine.options.{name}", {"engine": {"options": {name: "x"}}}, "engine.access says how")
        for name in ("tls", "tlsverify", "tlscacert", "tlscert", "tlskey")
    ),
    ("engine.bridge", {"engine": {"bridge": "8.8.0.0/16"}}, "not private"),
    ("engine.bridge", {"engine": {"bridge": "172.28.0.0/28"}}, "up to /24"),
    ("engine.addressPools.0", {"engine": {"addressPools": ["172.28.0.1/16"]}}, "172.28.0.0/16"),
    ("engine.swarmPool", {"engine": {"swarmPool": "pool"}}, "no IPv4 network"),
    ("engine", {"engine": {"bridge": "172.18.0.0/24"}}, "(engine.bridge), overlaps 172.18.0.0/16"),
    (
        "network.subnet",
        {"engine": {"bridge": "10.20.0.0/24", "swarmPool": "172.29.0.0/16"}},
        "overlaps 10.20.0.0/24, the engine's default bridge",
    ),
    (
        "network.subnet",
        {"network": {"subnet": "172.29.0.0/24"}, "engine": {"swarmPool": "172.29.0.0/16"}},
        "ingress",
    ),
    ("endpoint", {"endpoint": "api.softlayer.com"}, "not an http(s) address"),
    ("endpoint", {"endpoint": "https://api.softlayer.com/rest/v3.1"}, "xmlrpc"),
    ("endpoint", {"endpoint": "http://example.com/xmlrpc/v3.1"}, "in plain text"),
    ("endpoint", {"endpoint": "https://me:secret@example.com/"}, "user or password"),
    ("maxMonthlyCost", {"maxMonthlyCost": "-5"}, "greater than 0"),
    ("maxMonthlyCost", {"maxMonthlyCost": "much"}, "valid number"),
    ("servers", {"servers": None}, "Remedy: add it"),
    ("galera", {"galera": None}, "Remedy: add it"),
    ("discovery", {"discovery": "etcd"}, "must be a section"),
    ("colour", {"colour": "red"}, "known: endpoint"),
    ("loadBalancer.image", {"loadBalancer": {"statsPort": 8405}}, "Remedy: add it"),
    ("loadBalancer.image", {"loadBalancer": {"image": "haproxy"}}, "another image tomorrow"),
    ("loadBalancer", {"loadBalancer": "haproxy:2.6-1"}, "must be a section"),
    ("loadBalancer.port", {"loadBalancer": {**BALANCER, "port": 3306}}, "known: image, writerPort"),
    (
        "loadBalancer",
        {"loadBalancer": {**BALANCER, "writerPort": 6447}},
        "and readerPort are both 6447",
    ),
    ("loadBalancer", {"loadBalancer": {**BALANCER, "statsPort": 6446}}, "writerPort and statsPort are both"),
    ("loadBalancer.writerPort", {"loadBalancer": {**BALANCER, "writerPort": 2377}}, "the swarm's management"),
    ("loadBalancer.writerPort", {"loadBalancer": {**BALANCER, "writerPort": 2380}}, "etcd's peers"),
    ("loadBalancer.readerPort", {"loadBalancer": {**BALANCER, "readerPort": 7946}}, "the swarm's gossip"),
    ("loadBalancer.readerPort", {"loadBalancer": {**BALANCER, "readerPort": 4789}}, "VXLAN"),
    ("loadBalancer.statsPort", {"loadBalancer": {**BALANCER, "statsPort": 22}}, "taken on every host by SSH"),
    ("loadBalancer.statsPort", {"loadBalancer": {**BALANCER, "statsPort": 80}}, "from 1024 to 29999"),
    ("loadBalancer.statsPort", {"loadBalancer": {**BALANCER, "statsPort": 33060}}, "from 1024 to 29999"),
    (
        "loadBalancer.statsPort",
        {"loadBalancer": BALANCER, "servers": {"publishedPorts": [6446, 8404]}},
        "take it out of publishedPorts",
    ),
    ("application.image", {"application": {"replicas": 2}}, "Remedy: add it"),
    ("application.image", site(image="wordpress"), "another image tomorrow"),
    ("application.image", site(image="Word Press:1"), "no image reference"),
    ("application", {"application": "wordpress:6.1"}, "must be a section"),
    ("application.volume", site(volume="/x"), "known: image, replicas, port"),
    ("application.replicas", site(replicas=0), "greater than or equal to 1"),
    ("application.replicas", site(replicas=101), "less than or equal to 100"),
    ("application.port", site(port=22), "taken on every host by SSH"),
    ("application.port", site(port=2377), "the swarm's management"),
    ("application.port", site(port=2380), "etcd's peers"),
    ("application.port", site(port=0), "from 1 to 29999"),
    ("application.port", site(port=30080), "from 1 to 29999"),
    ("application.targetPort", site(targetPort=70000), "65535"),
    (
        "application.port",
        {**site(port=6446), "loadBalancer": BALANCER},
        "taken on every host by the load balancer (loadBalancer.writerPort)",
    ),
    (
        "application.port",
        {**site(port=8404), "loadBalancer": BALANCER},
        "taken on every host by the load balancer (loadBalancer.statsPort)",
    ),
    (
        "application.port",
        {**site(port=9323), "engine": {"options": {"metrics-addr": "127.0.0.1:9323"}}},
        "taken on every host by the engine (engine.options.metrics-addr)",
    ),
    ("application.health", site(health="wordpress-node health"), "valid list"),
    ("application.env.SITE-URL", site(env={"SITE-URL": "x"}), "no digit first"),
    ("application.env.DB_PASSWORD", site(env={"DB_PASSWORD": "x"}), "put it into application.secrets"),
    ("application.env.API_TOKEN", site(env={"API_TOKEN": "x"}), "take its path as API_TOKEN_FILE"),
    ("application.env.APP_KEY", site(env={"APP_KEY": "x"}), "confidential"),
    ("application.env.dbpasswd", site(env={"dbpasswd": "x"}), "confidential"),
    ("application.env.MYSQL_PWD", site(env={"MYSQL_PWD": "x"}), "confidential"),
    ("application.env.MAIL_APIKEY", site(env={"MAIL_APIKEY": "x"}), "confidential"),
    ("application.env.passphrase", site(env={"passphrase": "x"}), "confidential"),
    ("application.env.A", site(env={"A": ["x"]}), "valid string"),
    (
        "application",
        site(env={"DATABASE_HOST": "x"}, database={}),
        "env has DATABASE_HOST, and of its database",
    ),
    ("application.secrets.a/b", site(secrets={"a/b": "x"}), "can't name a file in /run/secrets"),
    ("application.secrets.application-x", site(secrets={"application-x": "x"}), "gives itself"),
    ("application.secrets.a", site(secrets={"a": ""}), "0 bytes"),
    ("application.uploads", site(uploads="uploads"), "no folder in a container"),
    ("application.uploads", site(uploads="/srv/../etc"), "no folder in a container"),
    ("application.uploads", site(uploads="/run/secrets"), "the engine's or the kernel's own"),
    ("application.database", site(database="wordpress"), "valid dictionary"),
    ("application.database.name", site(database={"name": "word-press"}), "can't name a database"),
    ("application.database.name", site(database={"name": "mysql"}), "belongs to the server itself"),
    ("application.database.user", site(database={"user": "monitor"}), "belongs to the server itself"),
    ("application.database.user", site(database={"name": "app"}), "(galera.database), whose password"),
    ("application.database.host", site(database={"host": "x"}), "known: name, user, password"),
    (
        "network.subnet",
        {**site(replicas=40), "network": {"subnet": "10.20.0.0/26"}},
        "tasks and services need 69",
    ),
    ("application.port", {**site(port=3306), **published()}, "by the database (galera.publish)"),
    ("galera.publish", published("host"), "'none' or 'vip'"),
    ("galera.publish", published("3306"), "'none' or 'vip'"),
    *(
        (
            "galera.publish",
            {**published(), "loadBalancer": {**BALANCER, port: 3306}},
            f"vip needs port 3306 of every host, which is taken by the load balancer (loadBalancer.{port})",
        )
        for port in ("writerPort", "readerPort", "statsPort")
    ),
    (
        "galera.publish",
        {**published(), "engine": {"options": {"metrics-addr": "0.0.0.0:3306"}}},
        "taken by the engine (engine.options.metrics-addr). Remedy: give that another port, or set galera",
    ),
    ("deployUpTo", {"deployUpTo": "database"}, "'hosts', 'swarm', 'data' or 'application'"),
    ("takeDown", {"takeDown": "data"}, "valid list"),
    ("takeDown.0", {"deployUpTo": "hosts", "takeDown": ["hosts"]}, "'swarm', 'data' or 'application'"),
    ("takeDown", {"takeDown": ["data"]}, "data would stay, as deployUpTo is application"),
    ("takeDown", {"deployUpTo": "swarm", "takeDown": ["swarm", "data"]}, "swarm would stay"),
    ("keepData", {"keepData": "false"}, "the data is in use, as deployUpTo is application"),
    ("keepData", {"deployUpTo": "data", "keepData": "false"}, "the data is in use"),
    (
        "keepData",
        {"deployUpTo": "hosts", "takeDown": ["swarm"], "keepData": "false"},
        "removes the rows of every node for good, and takeDown does not name data",
    ),
]


@pytest.mark.parametrize(("where", "sections", "said"), BAD)
def test_a_bad_value_is_refused_where_it_stands_with_a_remedy(
    where: str, sections: dict[str, Any], said: str
) -> None:
    (problem,) = problems(**sections)
    assert problem.startswith(f"swarm-galera:{where}: ")
    assert said in problem
    assert "Remedy: " in problem


@pytest.mark.parametrize(
    "path",
    ["/data", "/srv/mariadb", "/var/lib/mysql", "/home/db/data.1", "/etcetera/x_-y", "/var/lib/docker2"],
)
def test_the_data_may_have_any_folder_that_nobody_else_needs(path: str) -> None:
    image = "registry.lab:5000/galera:10.11-3"
    assert parse(config(galera={"image": image, "dataPath": path})).galera.data_path == path
    assert parse(config(galera={"image": image})).galera.data_path is None


def test_a_public_key_without_its_private_half_needs_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert "ssh-add" in problems(ssh={"publicKey": "ssh-ed25519 AAAA"})[0]
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert parse(config(ssh={"publicKey": "ssh-ed25519 AAAA"})).ssh.public_key == "ssh-ed25519 AAAA"


@pytest.mark.parametrize("layer", ["hosts", "swarm", "data", "application"])
def test_a_stack_has_all_layers_up_to_the_one_that_is_set(layer: str) -> None:
    settings = parse(config(deployUpTo=layer))
    has = [each for each in layers.LAYERS if settings.deploys(each)]
    assert has == list(layers.LAYERS[: layers.LAYERS.index(settings.deploy_up_to) + 1])
    assert layers.above(settings.deploy_up_to) == list(layers.LAYERS[len(has) :])
    assert has[-1] == layer


def test_a_list_of_the_stack_is_read_as_pulumi_hands_it_over() -> None:
    given = {"deployUpTo": "hosts", "takeDown": '["data", "swarm"]', "keepData": "false"}
    settings = parse({**config(), **given})
    assert settings.take_down == ["data", "swarm"]
    assert settings.keep_data is False
    assert parse(config()).deploy_up_to == "application"
    assert parse(config()).keep_data


def test_networks_of_the_engine_that_were_moved_are_free_for_the_overlay() -> None:
    engine = {"bridge": "172.30.0.0/24", "addressPools": ["172.31.0.0/16"], "swarmPool": "192.168.0.0/16"}
    for subnet in ("172.17.0.0/24", "172.18.0.0/24", "10.0.0.0/24"):
        assert parse(config(engine=engine, network={"subnet": subnet})).network.subnet == subnet


def test_what_the_old_scripts_said_of_hosts_and_engines_is_taken() -> None:
    options = {
        "debug": True,
        "log-level": "warn",
        "mtu": 1400,
        "metrics-addr": "127.0.0.1:9323",
        "default-shm-size": "128M",
        "features": {"buildkit": True},
        "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 65536, "Hard": 65536}},
        "dns-search": ["example.com"],
    }
    hosts = {"resolvers": ["10.0.80.11", "10.0.80.12"], "searchDomains": ["example.com"], "motd": "Ours.\n"}
    settings = parse(config(engine={"options": options}, hosts=hosts))
    assert settings.engine.options == options
    assert settings.hosts.resolvers == ["10.0.80.11", "10.0.80.12"]
    assert settings.hosts.search_domains == ["example.com"]
    assert settings.hosts.motd == "Ours.\n"


def test_no_option_of_the_engine_is_both_taken_and_set_by_the_program() -> None:
    everything = daemon_json(
        {}, ["10.0.80.11"], ["https://m"], ["r:5000"], "172.30.0.0/24", ["172.31.0.0/16"]
    )
    assert set(json.loads(everything)) <= set(engine_options.REFUSED)
    assert not set(engine_options.REFUSED) & set(engine_options.ALLOWED)


@pytest.mark.parametrize(
    ("given", "said"), [("marked-short", "12 characters"), ("marked with blanks", "a blank")]
)
def test_a_bad_password_of_root_is_refused_without_showing_it(given: str, said: str) -> None:
    (problem,) = problems(rootPassword=given)
    assert problem.startswith("swarm-galera:rootPassword: ")
    assert said in problem
    assert "Remedy: " in problem
    assert "marked" not in problem


def test_a_password_of_root_is_taken_and_never_shown() -> None:
    settings = parse(config(rootPassword="marked-Pass$word-1"))
    assert settings.root_password is not None
    assert settings.root_password.get_secret_value() == "marked-Pass$word-1"
    assert "marked" not in repr(settings) + settings.model_dump_json()


def test_timers_of_provider_options_that_do_not_fit_together_are_refused_in_one_list() -> None:
    provider = {
        "evs.keepalive_period": "PT2S",
        "evs.inactive_timeout": "PT3S",
        "pc.weight": 3,
        "gcache.size": "1.5G",
    }
    assert len(problems(galera={"provider": provider})) == 2  # those that are wrong alone come first
    del provider["pc.weight"], provider["gcache.size"]
    found = problems(galera={"provider": provider})
    assert [problem.split(": ")[0].removeprefix("swarm-galera:galera.provider.") for problem in found] == [
        "evs.keepalive_period",
        "evs.inactive_timeout",
    ]


def test_initial_sql_is_checked_with_the_other_settings(tmp_path: Path) -> None:
    (tmp_path / "01.sql").write_text("CREATE TABLE t (id INT) ENGINE=MyISAM;")
    (problem,) = problems(galera={"initdb": str(tmp_path)})
    assert problem.startswith("swarm-galera:galera.initdb: 01.sql, line 1: rows of MyISAM tables")
    relaxed = {"initdb": str(tmp_path), "strictReplication": False}
    assert parse(config(galera=relaxed)).galera.initdb == str(tmp_path)
