"""Installing packages: the family is found, only what is missing is fetched, failures are explained."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from components.host_scripts import packages
from components.host_scripts.packages import FAMILIES, Family, Package, Purpose
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

DEBIAN = "ID=debian\nVERSION_ID=12\n"
UBUNTU = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'
FEDORA = "ID=fedora\nVERSION_ID=42\n"
ORACLE = 'ID="ol"\nID_LIKE="fedora"\n'
ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'


def unknown_to_this_machine(switch: Path, kept: tuple[Family, ...] = ()) -> tuple[Family, ...]:
    """The families with packages whose programs the machine that runs the tests can't have.

    `kept` families keep their repositories.
    """
    made: dict[Purpose, tuple[Package, ...]] = {
        "storage": (Package("volumes", "no-such-vgcreate"), Package("trees", "no-such-mkfs")),
        "engine": (
            Package("whales", "no-such-dockerd"),
            Package("whale-talk", "no-such-docker", late=True),
            Package("armour", "no-such-parser", str(switch)),
        ),
    }
    return tuple(
        replace(family, repository=family.repository if family in kept else None, packages=made)
        for family in FAMILIES
    )


class Host(FakeHost):
    """A host of one family, without any of the packages' programs."""

    def __init__(self, folder: Path, os_release: str) -> None:
        super().__init__(folder)
        self.file("os-release", os_release)
        for name in ("apt-get", "dnf"):
            self.program(name)
        self.program("env", 'while [[ $1 == *=* ]]; do shift; done; exec "$@"')

    def brings(self, package: str, command: str) -> None:
        """Have the installation of `package` bring `command`."""
        path = self.bin / "apt-get"
        made = f"printf '#!/bin/bash\\n' >{self.bin}/{command}; chmod +x {self.bin}/{command}"
        line = f'case " ${{*##*install}} " in *" {package} "*) {made} ;; esac'
        path.write_text(f"{path.read_text()}{line}\n")

    def install(self, *purposes: Purpose, families: tuple[Family, ...] = ()) -> Ran:
        return self.run(
            packages.install(
                purposes,
                "galera-1",
                families or unknown_to_this_machine(self.folder / "switch"),
                str(self.folder / "os-release"),
                str(self.folder / "state"),
            )
        )


@pytest.mark.parametrize("os_release", [DEBIAN, UBUNTU])
def test_debian_and_its_children_install_with_apt(tmp_path: Path, os_release: str) -> None:
    host = Host(tmp_path / "host", os_release)
    host.brings("whales", "no-such-docker")
    ran = host.install("engine")
    assert ran.code == 0, ran.err
    update, install = ran.called("apt-get")
    assert update.endswith(" update")
    assert install.endswith(" install whales")


def test_a_command_that_no_other_package_brought_is_installed_by_its_own(tmp_path: Path) -> None:
    """Debian 13 has docker-cli beside docker.io; Debian 12 has docker in docker.io, and no docker-cli."""
    host = Host(tmp_path / "host", DEBIAN)
    host.brings("whale-talk", "no-such-docker")
    host.brings("whales", "no-such-dockerd")
    ran = host.install("engine")
    assert ran.code == 0, ran.err
    assert [call.split(" install ")[1] for call in ran.called("apt-get")[1:]] == ["whales", "whale-talk"]
    assert host.install("engine").calls == []


def test_the_red_hat_family_installs_with_dnf_and_without_fetching_lists(tmp_path: Path) -> None:
    ran = Host(tmp_path / "host", ROCKY).install("storage")
    assert ran.code == 0, ran.err
    assert ran.called("dnf") == [
        "dnf -q -y --setopt=install_weak_deps=False --setopt=retries=3 install volumes trees"
    ]


@pytest.mark.parametrize(
    ("os_release", "system"), [(FEDORA, "fedora"), (ROCKY, "centos"), (ORACLE, "centos")]
)
def test_each_family_has_its_own_repository_of_docker(tmp_path: Path, os_release: str, system: str) -> None:
    host = Host(tmp_path / "host", os_release)
    repository = tmp_path / "docker-ce.repo"
    families = tuple(
        replace(family, repository=family.repository and (str(repository), family.repository[1]))
        for family in unknown_to_this_machine(tmp_path / "switch", FAMILIES)
    )
    assert host.install("engine", families=families).code == 0
    text = repository.read_text()
    assert f"baseurl=https://download.docker.com/linux/{system}/$releasever/$basearch/stable\n" in text
    assert f"gpgkey=https://download.docker.com/linux/{system}/gpg\n" in text
    assert "gpgcheck=1\n" in text


def test_an_unknown_system_is_refused_with_the_families_there_are(tmp_path: Path) -> None:
    ran = Host(tmp_path / "host", "ID=plan9\n").install("engine")
    assert ran.code == 1
    assert "galera-1 runs 'plan9'" in ran.err
    assert all(family.name in ran.err for family in FAMILIES)
    # What it says to change is there.
    (named,) = re.findall(r"add the family to (\S+)", ran.err)
    assert Path(named).resolve() == Path(packages.__file__)


def test_what_is_there_already_is_not_installed_again(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", DEBIAN)
    for command in ("no-such-vgcreate", "no-such-mkfs"):
        host.program(command)
    ran = host.install("storage")
    assert ran.code == 0, ran.err
    assert ran.calls == []


def test_the_engines_packages_do_not_start_it_before_it_is_configured(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", DEBIAN)
    assert "SYSTEMD_OFFLINE=1" in host.install("engine").called("env")[0]
    assert "SYSTEMD_OFFLINE=1" not in host.install("storage").called("env")[0]


def test_lists_are_fetched_once_though_two_steps_install(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", DEBIAN)
    host.install("storage")
    assert not [call for call in host.install("engine").calls if call.endswith(" update")]


@pytest.mark.parametrize(("switch", "wanted"), [("Y\n", True), ("N\n", False), (None, False)])
def test_a_package_for_a_kernel_feature_is_installed_only_where_it_is_on(
    tmp_path: Path, switch: str | None, wanted: bool
) -> None:
    host = Host(tmp_path / "host", DEBIAN)
    if switch is not None:
        host.file("switch", switch)
    assert any("armour" in call for call in host.install("engine").calls) == wanted


def test_a_failed_installation_shows_the_end_of_its_log_and_the_remedy(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", DEBIAN)
    host.program("apt-get", '[[ $* != *install* ]] || { echo "E: no space left" >&2; exit 100; }')
    ran = host.install("engine")
    assert ran.code == 1
    assert "E: no space left" in ran.err
    assert "could not be installed on galera-1" in ran.err
    assert "Remedy: " in ran.err


def test_lists_that_could_not_be_fetched_are_fetched_by_the_next_run(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", DEBIAN)
    host.program("apt-get", "exit 100")
    assert "package lists could not be fetched" in host.install("engine").err
    host.program("apt-get")
    assert [call for call in host.install("engine").calls if call.endswith(" update")]


def test_debian_12_which_has_no_docker_cli_is_never_asked_for_it() -> None:
    (cli,) = (package for package in FAMILIES[0].packages["engine"] if package.name == "docker-cli")
    assert cli.late


def test_every_family_says_what_storage_and_the_engine_need() -> None:
    for family in FAMILIES:
        assert {package.command for package in family.packages["storage"]} == {
            "vgcreate",
            "mkfs.btrfs",
            "cmp",
        }
        assert {"dockerd", "docker"} <= {package.command for package in family.packages["engine"]}
