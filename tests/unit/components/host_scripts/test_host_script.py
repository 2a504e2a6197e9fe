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


STATIC = "domain old.example.com\nnameserver 10.0.80.1\noptions timeout:1\n"


class Asking(FakeHost):
    """A host with a resolv.conf of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program("systemctl")
        self.conf = self.file("etc/resolv.conf", STATIC)
        self.places = commands.Places(
            resolv_conf=str(self.conf),
            resolved_dropin=str(folder / "etc/systemd/resolved.conf.d/10-swarm-galera.conf"),
            motd=str(folder / "etc/motd.d/swarm-galera"),
        )

    def ask(self, resolvers: list[str], search: list[str]) -> Ran:
        return self.run(commands.resolver("galera-1", resolvers, search, self.places))

    def resolved(self) -> Path:
        """Hand resolv.conf over to systemd-resolved; returns the drop-in."""
        stub = self.file("run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.0.53\n")
        self.conf.unlink()
        self.conf.symlink_to(stub)
        return Path(self.places.resolved_dropin)


BOTH = (["10.0.80.11", "10.0.80.12"], ["example.com", "corp.example.com"])


def test_a_plain_resolv_conf_gets_resolvers_and_domains_and_keeps_the_rest(tmp_path: Path) -> None:
    host = Asking(tmp_path / "host")
    assert host.ask(*BOTH).code == 0
    assert host.conf.read_text().splitlines()[1:] == [
        "search example.com corp.example.com",
        "nameserver 10.0.80.11",
        "nameserver 10.0.80.12",
        "options timeout:1",
    ]
    assert host.ask(["10.0.80.13"], []).code == 0
    assert host.conf.read_text().splitlines()[1:] == [
        "nameserver 10.0.80.13",
        "domain old.example.com",
        "options timeout:1",
    ]
    assert host.ask([], ["example.com"]).code == 0
    assert host.conf.read_text().splitlines()[1:] == [
        "search example.com",
        "nameserver 10.0.80.1",
        "options timeout:1",
    ]


def test_a_resolv_conf_is_given_back_as_it_was(tmp_path: Path) -> None:
    host = Asking(tmp_path / "host")
    host.ask(*BOTH)
    for _ in range(2):
        ran = host.run(commands.resolver_gone(host.places))
        assert (ran.code, ran.calls) == (0, [])
        assert host.conf.read_text() == STATIC
    assert [file.name for file in host.conf.parent.iterdir()] == ["resolv.conf"]


def test_systemd_resolved_is_told_once_and_its_file_is_left_alone(tmp_path: Path) -> None:
    host = Asking(tmp_path / "host")
    dropin = host.resolved()
    assert host.ask(*BOTH).calls == ["systemctl restart systemd-resolved.service"]
    assert dropin.read_text().splitlines()[1:] == [
        "[Resolve]",
        "DNS=10.0.80.11 10.0.80.12",
        "Domains=example.com corp.example.com ~.",
    ]
    assert host.ask(*BOTH).calls == []
    assert host.conf.is_symlink()
    host.ask([], ["example.com"])
    assert dropin.read_text().splitlines()[1:] == ["[Resolve]", "Domains=example.com"]
    host.ask(["10.0.80.11"], [])
    assert dropin.read_text().splitlines()[1:] == ["[Resolve]", "DNS=10.0.80.11", "Domains=~."]
    assert host.run(commands.resolver_gone(host.places)).calls == [
        "systemctl restart systemd-resolved.service"
    ]
    assert not dropin.exists()


def test_a_resolv_conf_that_another_program_writes_is_refused_and_left_alone(tmp_path: Path) -> None:
    host = Asking(tmp_path / "host")
    host.conf.write_text("# Generated by NetworkManager\nnameserver 10.0.80.1\n")
    ran = host.ask(*BOTH)
    assert ran.code == 1
    assert "written by another program, which would write it again: # Generated by NetworkManager" in ran.err
    host.conf.unlink()
    host.conf.symlink_to(host.file("run/resolvconf/resolv.conf", "nameserver 10.0.80.1\n"))
    ran = host.ask(*BOTH)
    assert ran.code == 1
    assert "leads to" in ran.err
    assert "Remedy: " in ran.err
    assert "10.0.80.11" not in host.conf.read_text()


def test_words_for_who_logs_in_come_and_go_beside_the_systems_own(tmp_path: Path) -> None:
    host = Asking(tmp_path / "host")
    text = "Ours, and nobody's else.\n  $HOME `id` \\n 'x'\n"
    assert host.run(commands.motd(text, host.places)).code == 0
    assert Path(host.places.motd).read_text() == text
    host.run(commands.motd_gone(host.places))
    assert not Path(host.places.motd).exists()
