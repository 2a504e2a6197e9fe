"""The arbitrator's entrypoint: what it is told, how garbd is started, and whether it is with the nodes."""

from __future__ import annotations

import json
import os
import signal
import time
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from components import arbitrator
from images.arbitrator.arbitrator_node import cli, garbd, settings
from images.arbitrator.arbitrator_node.settings import Settings, SettingsError
from images.galera.galera_node import config
from settings import arbitrator as section

pytestmark = pytest.mark.unit


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name in settings.FILES.values():
        (tmp_path / name).write_text("PEM")
    return tmp_path


def environ(secrets: Path, **more: str) -> dict[str, str]:
    given = {"CLUSTER_NAME": "galera", "PEERS": "tasks.galera", "SUBNET": "10.20.0.0/24"}
    return {**given, "SECRETS_DIR": str(secrets), "PROVIDER": str(secrets / "none"), **more}


def test_the_nodes_know_it_by_the_name_that_it_has_in_the_group(modules: Any) -> None:
    assert garbd.NAME == modules.component.ARBITRATOR == section.NAME


def test_it_has_the_group_s_times_as_the_nodes_have_them() -> None:
    """Members that wait differently long for one another part at different times."""
    assert garbd.GROUP == config.GROUP


def test_what_it_is_told_is_what_the_service_says(secrets: Path) -> None:
    found = settings.load(environ(secrets))
    assert (found.cluster, found.peers, found.subnet) == (
        "galera",
        "tasks.galera",
        IPv4Network("10.20.0.0/24"),
    )
    assert arbitrator.PROVIDER == "/etc/arbitrator-node/provider.json"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"CLUSTER_NAME": ""}, "CLUSTER_NAME is not set"),
        ({"CLUSTER_NAME": "a b"}, "CLUSTER_NAME='a b' must be"),
        ({"PEERS": ""}, "PEERS is not set"),
        ({"SUBNET": "here"}, "SUBNET"),
    ],
)
def test_a_wrong_setting_is_named(secrets: Path, changed: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        settings.load(environ(secrets, **changed))


def test_without_the_nodes_certificate_it_does_not_start(secrets: Path) -> None:
    (secrets / "galera-server.key").unlink()
    with pytest.raises(SettingsError, match=r"galera-server\.key is missing or not readable"):
        settings.load(environ(secrets))


def test_of_the_nodes_options_those_of_the_group_hold_for_it_too(secrets: Path) -> None:
    options = {
        "evs.suspect_timeout": "PT9S",
        "gcache.size": "2G",
        "pc.weight": "3",
        "pc.announce_timeout": "PT5S",
    }
    assert settings.shared(json.dumps(options)) == {
        "evs.suspect_timeout": "PT9S",
        "pc.announce_timeout": "PT5S",
    }
    for wrong in ("[1]", '{"evs.suspect_timeout": 5}', "x"):
        with pytest.raises(SettingsError, match="options of the group"):
            settings.shared(wrong)


def test_garbd_is_started_with_files_for_secrets_and_can_start_no_group(secrets: Path) -> None:
    made = Settings(
        "galera", "tasks.galera", IPv4Network("10.20.0.0/24"), {"evs.suspect_timeout": "PT9S"}, secrets
    )
    argv = garbd.arguments(made, "10.20.0.9", ["10.20.0.8", "10.20.0.7"])
    assert argv[:7] == [
        *("/usr/bin/garbd", "--group", "galera", "--address"),
        *("gcomm://10.20.0.7:4567,10.20.0.8:4567", "--name", "galera-arbitrator"),
    ]
    options = dict(each.split("=", 1) for each in argv[-1].split(";"))
    assert options["evs.suspect_timeout"] == "PT9S"
    assert options["evs.keepalive_period"] == "PT0.5S"
    assert options["gmcast.listen_addr"] == "tcp://10.20.0.9:4567"
    assert options["socket.ssl_key"] == str(secrets / "galera-server.key")
    assert "PEM" not in " ".join(argv)


TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0900140A:11D7 00000000:0000 0A 00000000:00000000 00:00000000 00000000   995
   1: 0900140A:C350 0700140A:11D7 01 00000000:00000000 00:00000000 00000000   995
   2: 0900140A:11D7 0800140A:C351 01 00000000:00000000 00:00000000 00000000   995
   3: 0900140A:C352 0600140A:0CEA 01 00000000:00000000 00:00000000 00000000   995
   4: 0900140A:C353 0500140A:11D7 06 00000000:00000000 00:00000000 00000000   995
"""


def test_it_is_with_those_nodes_that_the_group_s_port_has_a_connection_with() -> None:
    nodes = [f"10.20.0.{n}" for n in range(5, 9)]
    assert garbd.connected(TABLE, nodes) == ["10.20.0.7", "10.20.0.8"]
    assert garbd.connected(TABLE, ["10.20.0.6", "10.20.0.5"]) == [], "another port, and one that has ended"
    assert garbd.connected(TABLE, []) == []


def test_its_own_address_is_the_one_on_the_overlay_network() -> None:
    assert garbd.own_address(IPv4Network("10.20.0.0/24"), ["172.18.0.3", "10.20.0.9"]) == "10.20.0.9"
    assert garbd.own_address(IPv4Network("10.20.0.0/24"), ["172.18.0.3"]) is None
    assert garbd.resolve("nobody.invalid") == []


def test_its_health_is_that_it_is_connected_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "connected"
    assert cli.health(file) == 1
    file.touch()
    assert cli.health(file) == 0
    old = time.time() - 2 * cli.FRESH
    os.utime(file, (old, old))
    assert cli.health(file) == 1
    assert "not connected with any node for" in capsys.readouterr().out
    assert cli.main(["nothing"]) == 2
    assert cli.FRESH > 2 * cli.EVERY


def test_it_ends_at_once_while_it_waits_for_the_nodes(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel ends no container's first process by a signal that it does not handle."""
    made = settings.load(environ(secrets))
    monkeypatch.setattr(settings, "load", lambda: made)
    monkeypatch.setattr(cli, "CONNECTED", secrets / "connected")
    monkeypatch.setattr(cli, "wait_for_nodes", lambda _: signal.raise_signal(signal.SIGTERM))
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit) as ended:
            cli.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == 0
