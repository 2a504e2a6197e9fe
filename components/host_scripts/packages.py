"""Installing packages on whatever family of Linux a host runs.

Owns: the families as data, and the one script made of them. A further family is a further row.
Leaves to others: configuring and starting what is installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from components.host_scripts.shell import assign, body

Purpose = Literal["storage", "encryption", "engine"]


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes:
        name: as the family calls it.
        command: a program it brings; where that is found the package counts as installed.
        switch: a file of the kernel that must say Y for the package to be needed; empty means always.
        late: asked for only if the command is still missing once all others are installed: in some releases
            another package brings it, and there is none of this name.
    """

    name: str
    command: str
    switch: str = ""
    late: bool = False


@dataclass(frozen=True)
class Family:
    """One family of distributions.

    Attributes:
        name: for people.
        ids: words looked for in ID and ID_LIKE of /etc/os-release.
        repository: a repository file to write first, as path and text; None for the distribution's own.
        refresh: command that fetches the lists of packages; empty if installing does that.
        install: command that installs the packages appended to it.
        hold: assignments for `install`'s environment that keep it from starting the engine, which would
            happen without its configuration and cost a second start; empty where packages start nothing.
        packages: what each purpose needs.
    """

    name: str
    ids: tuple[str, ...]
    repository: tuple[str, str] | None
    refresh: str
    install: str
    hold: str
    packages: dict[Purpose, tuple[Package, ...]]


_STORAGE = (Package("lvm2", "vgcreate"), Package("btrfs-progs", "mkfs.btrfs"), Package("diffutils", "cmp"))
_CRYPTSETUP = (Package("cryptsetup", "cryptsetup"),)
_DNF = "dnf -q -y --setopt=install_weak_deps=False --setopt=retries=3 install"
_DOCKER_CE = (
    Package("docker-ce", "dockerd"),
    Package("docker-ce-cli", "docker"),
    Package("containerd.io", "containerd"),
    Package("iptables", "iptables"),
)


def _docker_ce(system: str) -> tuple[str, str]:
    """Docker's own repository for a system, under its name at download.docker.com."""
    place = f"https://download.docker.com/linux/{system}"
    return (
        "/etc/yum.repos.d/docker-ce.repo",
        f"[docker-ce-stable]\nname=Docker CE Stable\nbaseurl={place}/$releasever/$basearch/stable\n"
        f"enabled=1\ngpgcheck=1\ngpgkey={place}/gpg",
    )


FAMILIES = (
    Family(
        name="Debian and Ubuntu",
        ids=("debian", "ubuntu"),
        repository=None,
        refresh="apt-get -q -o Acquire::Retries=3 update",
        install=(
            "DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -q -y --no-install-recommends "
            "-o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "
            "-o Dpkg::Options::=--force-confold install"
        ),
        # To systemctl, the packages' scripts seem to run in a folder that is no system: it enables, but does
        # not start, and takes no time to reload.
        hold="SYSTEMD_OFFLINE=1",
        packages={
            "storage": _STORAGE,
            "encryption": (Package("cryptsetup-bin", "cryptsetup"),),
            "engine": (
                Package("docker.io", "dockerd"),
                # A package of its own from Debian 13 on; in Debian 12 and Ubuntu docker.io has it.
                Package("docker-cli", "docker", late=True),
                Package("iptables", "iptables"),
                Package("ca-certificates", "update-ca-certificates"),
                # Where the kernel enforces AppArmor, the engine can't start a container without its parser.
                Package("apparmor", "apparmor_parser", switch="/sys/module/apparmor/parameters/enabled"),
            ),
        },
    ),
    Family(
        name="Fedora",
        ids=("fedora",),
        repository=_docker_ce("fedora"),
        refresh="",
        install=_DNF,
        hold="",
        packages={"storage": _STORAGE, "encryption": _CRYPTSETUP, "engine": _DOCKER_CE},
    ),
    # For images of one's own: the distributors' kernels have no btrfs, and their repositories no btrfs-progs
    # (disk.require_btrfs and the settings refuse those before anything is installed).
    Family(
        name="RHEL, CentOS, Rocky and Alma",
        ids=("rhel", "centos", "rocky", "almalinux", "ol"),
        repository=_docker_ce("centos"),
        refresh="",
        install=_DNF,
        hold="",
        packages={"storage": _STORAGE, "encryption": _CRYPTSETUP, "engine": _DOCKER_CE},
    ),
)


def install(
    purposes: Iterable[Purpose],
    hostname: str,
    families: tuple[Family, ...] = FAMILIES,
    os_release: str = "/etc/os-release",
    state: str = "/run/swarm-galera",
) -> str:
    """Shell text that installs what `purposes` need and the host does not have yet.

    Two such texts may run on a host at a time: a lock in `state` makes them take turns.
    """
    wanted = tuple(purposes)
    cases = "\n".join(_case(family, wanted) for family in families)
    known = "; ".join(family.name for family in families)
    variables = assign(os_release=os_release, state=state, hostname=hostname, known=known)
    return f"\n# Packages for: {', '.join(wanted)}\n{variables}\n{body('packages', cases=cases)}\n"


def _case(family: Family, purposes: tuple[Purpose, ...]) -> str:
    """One family's branch; it only fills variables."""
    lines = [f"family={_array(family.name)}"]
    if family.repository:
        lines.append(assign(repository=family.repository))
    if family.refresh:
        lines.append(f"refresh=({family.refresh})")
    hold = f"{family.hold} " if "engine" in purposes and family.hold else ""
    lines.append(f"install=(env {hold}{family.install})")
    for purpose in purposes:
        for package in family.packages[purpose]:
            condition = (
                f"[[ ! -r {package.switch} || $(<{package.switch}) != Y ]] || " if package.switch else ""
            )
            lines.append(f"{condition}{'late' if package.late else 'need'} {package.name} {package.command}")
    body = "\n".join(f"      {line}" for line in lines)
    return f"    {'|'.join(family.ids)})\n{body}\n      break ;;"


def _array(text: str) -> str:
    return assign(x=text).removeprefix("x=")
