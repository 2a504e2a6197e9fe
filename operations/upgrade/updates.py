"""What there is to be updated on a host, as its own package manager says, and what comes of it.

Owns: reading that, choosing what is installed, and foretelling a reboot. Leaves to others: the scripts
(host_scripts/upgrade_*.sh), when and in which order hosts are changed (hosts.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from components.host_scripts.shell import assign, body
from operations.remote_hosts import SCRIPTS

DONE = "/var/lib/swarm-galera/upgraded"
"""File of a host that has the text of `hosts.upgradeToken` for which it was brought up to date."""
INST = re.compile(r"Inst (\S+) (?:\[([^\]]*)\] )?\((\S+)(?: (.*?))? \[[\w, ]+\]\)")
REBOOTS = re.compile(r"linux-image-|(libc6|libc-bin|systemd|libsystemd0|dbus|dbus-daemon|udev|libssl3\w*)$")
"""Packages after which the host is rebooted: what its first process or kernel is made of."""
ENGINE = re.compile(r"(docker\.io|docker-ce|containerd(\.io)?|runc|docker-ce-cli)$")
"""Packages that restart the engine when they are installed, and with it every container."""


@dataclass(frozen=True)
class Package:
    """One that can be brought up to date. before: empty for one that is new. security: a security update."""

    name: str
    version: str
    before: str = ""
    security: bool = False


@dataclass(frozen=True)
class Updates:
    """What a host says.

    Attributes:
        packages: all that have a newer version.
        reboot: why it must be rebooted for what is installed already; empty if it need not.
        restart: the same of the engine.
        boot: tells one boot from the next.
        half: what an installation that was broken off has left; until it is finished, what else there is may
            be unknown.
    """

    packages: Sequence[Package] = ()
    reboot: str = ""
    restart: str = ""
    boot: str = ""
    half: str = ""

    def wanted(self, everything: bool) -> list[Package]:
        """Those that are installed. `everything`: not the security updates alone."""
        return [each for each in self.packages if everything or each.security]

    def due(self, everything: bool) -> bool:
        """Whether there is anything to be done."""
        return bool(self.wanted(everything) or self.reboot or self.restart or self.half)


def look() -> str:
    """Shell text for a host that prints what `parse` reads. Changes nothing but apt's lists."""
    return body("upgrade_look", SCRIPTS)


def install(packages: Sequence[Package]) -> str:
    """Shell text for a host: just these versions."""
    named = [f"{each.name}={each.version}" for each in packages]
    return f"{assign(packages=named)}\n{body('upgrade_install', SCRIPTS)}"


def finish() -> str:
    """Shell text for a host: what an installation that was broken off has left is finished."""
    return body("upgrade_finish", SCRIPTS)


def reboot(boot: str) -> str:
    """Shell text for a host: it reboots, if it has not since `boot`."""
    return f"{assign(boot=boot)}\n{body('upgrade_reboot', SCRIPTS)}"


def done_for() -> str:
    """Shell text for a host that prints the word for which it was last brought up to date, if any."""
    return f"cat {DONE} 2>/dev/null || :"


def noted(token: str) -> str:
    """Shell text for a host: it was brought up to date for this word."""
    return f"{assign(done_file=DONE, token=token)}\n{body('upgrade_done', SCRIPTS)}"


def parse(text: str) -> Updates:
    """What `look` printed."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("\t")
        found.setdefault(key, []).append(value.strip())
    return Updates(
        packages=tuple(each for line in found.get("install", ()) if (each := package(line)) is not None),
        reboot="; ".join(found.get("reboot", ())),
        restart="; ".join(found.get("restart", ())),
        boot=next(iter(found.get("boot", ())), ""),
        half=next(iter(found.get("half", ())), ""),
    )


def package(line: str) -> Package | None:
    """A package from a line of `apt-get -s`; None for what is none."""
    match = INST.match(line)
    if match is None:
        return None
    name, before, version, origins = match.groups()
    return Package(name, version, before or "", "security" in (origins or "").lower())


def told(updates: Updates, everything: bool) -> str:
    """What will be done on a host, for people; empty for nothing."""
    packages = updates.wanted(everything)
    parts = []
    if updates.half:
        parts.append(f"the end of an installation that was broken off ({updates.half})")
    if packages:
        names = ", ".join(f"{each.name} {each.version}" for each in packages)
        parts.append(f"{len(packages)} package{'s' if len(packages) > 1 else ''} ({names})")
    if why := reboots(updates, packages):
        parts.append(f"a reboot ({why})")
    elif why := updates.restart or ", ".join(each.name for each in packages if ENGINE.match(each.name)):
        parts.append(f"a restart of its engine ({why})")
    return ", then ".join(parts)


def reboots(updates: Updates, packages: Sequence[Package]) -> str:
    """Why the host is rebooted, once `packages` are installed; empty if it is not.

    Before they are, as far as that can be known. What is foretold is done: few packages ask for it by
    themselves, and with a newer libssl all that runs keeps the old one.
    """
    names = [each.name for each in packages if REBOOTS.match(each.name)]
    return updates.reboot or ", ".join(names)
