"""Debian packages the lab needs: which are missing, and installing just those.

The list is `packages.txt`; a test may want some more. Nothing is upgraded on purpose, nothing removed, no
service started.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.toolchain.stages import Step

LIST = Path(__file__).with_name("packages.txt")
LOCK_WAIT = 300  # seconds to wait for another apt, e.g. unattended-upgrades right after the boot
SERVICES = (
    "docker-registry.service",
)  # Debian starts these on install; the lab runs its own inside its namespace


def wanted(text: str | None = None) -> list[str]:
    """The packages' names in the list, or in `text` of the same form."""
    lines = (LIST.read_text(encoding="utf-8") if text is None else text).splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def missing(names: Iterable[str], dpkg_says: str) -> list[str]:
    """Those of `names` that dpkg does not have fully installed, by its lines `NAME STATUS`."""
    installed = {line.split()[0] for line in dpkg_says.splitlines() if line.endswith(" install ok installed")}
    return [name for name in names if name not in installed]


def _dpkg_says() -> str:
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${Status}\n"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def install(step: Step, names: Iterable[str] | None = None) -> None:
    """Install what is missing of the list, or of `names`; a dpkg run that was cut off is completed first."""
    lacking = missing(wanted() if names is None else names, _dpkg_says())
    if not lacking:
        step.result("all there")
        return
    environment = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    apt = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_WAIT}", "-o", "Dpkg::Use-Pty=0"]
    step.run(["dpkg", "--configure", "-a"], env=environment, spare=True)
    step.run([*apt, "update"], env=environment)
    step.run([*apt, "install", "--yes", "--no-install-recommends", *lacking], env=environment, spare=True)
    if Path("/run/systemd/system").is_dir() and "docker-registry" in lacking:
        step.run(["systemctl", "disable", "--now", *SERVICES])
    step.result(f"{len(lacking)} installed")
