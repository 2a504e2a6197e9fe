"""Scripts are found wherever they are, and what shellcheck finds in one fails the check."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from components.host_scripts import packages
from components.host_scripts.shell import script
from lab.toolchain import jobs, places, shell_lint

pytestmark = pytest.mark.unit


def test_scripts_of_hosts_images_lab_and_ci_are_checked() -> None:
    found = {str(path.relative_to(places.CHECKOUT)) for path in shell_lint.scripts(places.CHECKOUT)}
    assert {
        ".ci/run",
        "components/host_scripts/prologue.sh",
        "images/runtime/collect",
        "lab/hosts/image/overlay/usr/lib/lab/init",
        "operations/host_scripts/facts_host.sh",
    } <= found
    assert not any(name.startswith((".venv", ".git")) for name in found)


def test_the_lint_check_runs_it() -> None:
    assert ("lab.toolchain.shell_lint",) in jobs.CHECKS["lint"]


@pytest.mark.parametrize(("line", "code"), [('echo "$HOME"', 0), ("echo $HOME", 1), ("if true", 1)])
def test_a_finding_fails_the_check(tmp_path: Path, line: str, code: int) -> None:
    (tmp_path / "of" / "hosts").mkdir(parents=True)
    (tmp_path / "of" / "hosts" / "one.sh").write_text(f"#!/bin/bash\n{line}\n")
    assert shell_lint.check(tmp_path) == code


def test_nothing_to_check_fails_the_check(tmp_path: Path) -> None:
    assert shell_lint.check(tmp_path) == 1


def test_the_installation_of_packages_is_sound_as_a_whole() -> None:
    # Its file has a placeholder where the families stand.
    text = script("os_release=/etc/os-release", packages.install(("storage", "engine"), "galera-1"))
    # SC1010, SC2034: see prologue.sh. SC1090: /etc/os-release. SC2016: $basearch is the repository file's.
    unless = "SC1010,SC2034,SC1090,SC2016"
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "shellcheck", "-s", "bash", "-e", unless, "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
