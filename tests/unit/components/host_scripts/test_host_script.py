"""A host's name, sshd's limits, and the hosts' networks against the overlay's subnet."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import host as commands
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

LAB = ["default via 203.0.113.1 dev eth1", "10.144.12.0/24 dev eth0 proto kernel scope link src 10.144.12.10"]
SOFTLAYER = ["10.0.0.0/8 via 10.144.12.1 dev eth0", "161.26.0.0/16 via 10.144.12.1 dev eth0", *LAB]


def check(folder: Path, subnet: str, routes: list[str]) -> Ran:
    host = FakeHost(folder)
    host.file("routes", "\n".join(routes) + "\n")
    host.program("ip", 'cat "$host/routes"')
    return host.run(commands.refuse_overlap(subnet, "galera-1"))


@pytest.mark.parametrize(
    ("subnet", "routes"),
    [
        ("10.20.0.0/24", LAB),
        pytest.param(
            "10.20.0.0/24", SOFTLAYER, id="a wide route through a gateway is no network of the host"
        ),
        pytest.param(
            "172.18.0.0/24",
            ["172.18.0.0/16 dev docker_gwbridge scope link", *LAB],
            id="the engine's own bridge",
        ),
        pytest.param("10.144.13.0/24", LAB, id="the neighbouring network"),
    ],
)
def test_a_subnet_of_its_own_is_accepted(tmp_path: Path, subnet: str, routes: list[str]) -> None:
    ran = check(tmp_path / "host", subnet, routes)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("subnet", "routes", "named"),
    [
        ("10.144.12.0/24", LAB, "10.144.12.0/24"),
        ("10.144.0.0/16", LAB, "10.144.12.0/24"),
        ("10.144.12.128/25", LAB, "10.144.12.0/24"),
        pytest.param(
            "10.20.0.0/16", ["10.20.7.0/24 via 10.144.12.1 dev eth0"], "10.20.7.0/24", id="a routed part"
        ),
        pytest.param("10.20.0.0/24", ["10.20.0.9 dev tun0 scope link"], "10.20.0.9", id="a single address"),
    ],
)
def test_a_subnet_that_overlaps_a_network_of_the_host_is_refused(
    tmp_path: Path, subnet: str, routes: list[str], named: str
) -> None:
    ran = check(tmp_path / "host", subnet, routes)
    assert ran.code == 1
    assert f"network.subnet {subnet} overlaps {named}, which galera-1 reaches" in ran.err
    assert "Remedy: " in ran.err


def prepare(host: FakeHost) -> Ran:
    host.program("hostnamectl", 'echo "$2" >"$host/hostname"')
    host.program("systemctl")
    (host.folder / "sshd.d").mkdir(exist_ok=True)
    return host.run(
        commands.name_and_limits(
            "galera-1", str(host.folder / "sshd.d/10.conf"), str(host.folder / "hostname")
        )
    )


def test_a_host_with_its_full_name_gets_its_short_one_and_sshd_its_limits(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.file("hostname", "galera-1.example.com\n")
    ran = prepare(host)
    assert ran.code == 0, ran.err
    assert ran.calls == ["hostnamectl set-hostname galera-1", "systemctl reload ssh.service"]
    assert "MaxStartups 100:30:300\n" in (host.folder / "sshd.d/10.conf").read_text()


def test_a_host_that_is_as_it_should_be_is_left_alone(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.file("hostname", "galera-1\n")
    prepare(host)
    assert prepare(host).calls == []
