"""What the swarm is asked before its network is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.commands import overlay
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

DOCKER = r"""
case "$1 $2" in
  "network ls") cat "$host/networks" ;;
  "network inspect") cat "$host/network" ;;
  "service ls") cut -d' ' -f1 "$host/services" ;;
  "service inspect") cat "$host/services" ;;
esac
"""
OWN = ("etcd", "galera")


def asked(folder: Path, network: str, *services: str) -> Ran:
    """What becomes of the wish for an encrypted network of 10.20.0.0/24 where there is `network`."""
    host = FakeHost(folder / "host")
    host.program("docker", DOCKER)
    host.file("networks", "net1\n" if network else "")
    host.file("network", f"{network}\n")
    host.file("services", "".join(f"{service}\n" for service in services))
    return host.run(overlay.free_of_others("galera", "10.20.0.0/24", True, OWN))


def test_where_there_is_no_network_nothing_stands_in_the_way(tmp_path: Path) -> None:
    ran = asked(tmp_path, "")
    assert (ran.code, ran.out) == (0, "")
    assert len(ran.calls) == 1


def test_a_network_as_wanted_may_serve_anybody(tmp_path: Path) -> None:
    assert asked(tmp_path, "galera 10.20.0.0/24 true", "app net1").code == 0


@pytest.mark.parametrize(
    "found", ["galera 10.21.0.0/24 true", "galera 10.20.0.0/24 false", "other 10.20.0.0/24 true"]
)
def test_one_that_has_to_be_replaced_may_serve_the_stacks_own_services(tmp_path: Path, found: str) -> None:
    assert asked(tmp_path, found, "etcd net1", "galera net1", "web net2", "alone").code == 0


@pytest.mark.parametrize("services", [["galera net1", "app net2 net1"], ["app galera"]])
def test_one_that_has_to_be_replaced_and_serves_others_is_refused(
    tmp_path: Path, services: list[str]
) -> None:
    ran = asked(tmp_path, "galera 10.21.0.0/24 true", *services)
    assert ran.code == 1
    assert "the network galera has to be replaced by (galera 10.20.0.0/24 true), but serves: app." in ran.err
    assert "docker service update --network-rm galera SERVICE" in ran.err


def test_a_swarm_without_services_is_asked_no_further(tmp_path: Path) -> None:
    ran = asked(tmp_path, "galera 10.21.0.0/24 true")
    assert ran.code == 0
    assert not [call for call in ran.calls if call.startswith("docker service inspect")]
