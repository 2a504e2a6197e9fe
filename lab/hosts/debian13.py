"""Debian 13's user-mode Linux on a Debian 12 machine, without touching the machine's own packages.

Owned here: fetching the two packages with an apt configuration of its own, and making the program use the C
library that came with it (it needs 2.38, Debian 12 has 2.36). Left to others: whether it runs (`kernel.py`).

apt checks signatures with the machine's own keys of Debian. Lists and packages are in a private folder.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.errors import LabError
from lab.toolchain import locks
from lab.toolchain.errors import ToolchainError
from lab.toolchain.stages import Step

SUITE = "trixie"
ARCHIVE = "http://deb.debian.org/debian"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = ("user-mode-linux", "libc6")
RECIPE = 1  # raise it when the code below changes what is made
LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
LOADER = "ld-linux-x86-64.so.2"


def ensure(step: Step, home: Path) -> tuple[Path, Path]:
    """The program and its folder of modules in `home`, fetched if they are not there.

    LabError if they cannot be had: no way to Debian's archive, no patchelf.
    """
    folder = home / f"{SUITE}-{RECIPE}"
    with locks.waited_for(
        home / f"{folder.name}.lock", "lab up", lambda holder: step.say(f"waiting for {holder}")
    ):
        if not folder.is_dir():
            fresh = home / f"{folder.name}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            try:
                _fetch(step, fresh)
                _assemble(step, fresh, folder)
            except ToolchainError as error:
                raise LabError(f"Debian 13's kernel cannot be had: {str(error).splitlines()[0]}") from None
            fresh.replace(folder)
    modules = next(iter((folder / "modules").iterdir()))
    return folder / "linux.uml", modules


def _fetch(step: Step, folder: Path) -> None:
    """Download the packages into `folder`, with lists of their own."""
    (folder / "apt/lists/partial").mkdir(parents=True)
    (folder / "apt/cache/archives/partial").mkdir(parents=True)
    (folder / "apt/none").mkdir()
    (folder / "apt/sources.list").write_text(
        f"deb [signed-by={KEYS}] {ARCHIVE} {SUITE} main\n", encoding="ascii"
    )
    (folder / "apt/apt.conf").write_text(apt_configuration(folder / "apt"), encoding="utf-8")
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt/apt.conf")}
    step.say("Debian 13's list of packages")
    step.run(["apt-get", "-q", "update", "--error-on=any"], env=environment)
    step.say("Debian 13's kernel")
    step.run(["apt-get", "-q", "download", *PACKAGES], cwd=folder, env=environment)


def apt_configuration(folder: Path) -> str:
    """apt with all that changes in `folder`; what the machine says of proxies still counts."""
    options = {
        "Dir::State::lists": f"{folder}/lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": f"{folder}/cache",
        "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": f"{folder}/none",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": f"{folder}/none",
        "APT::Sandbox::User": "root",  # the folder is root's
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "20",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    return "".join(f'{name} "{value}";\n' for name, value in options.items())


def _assemble(step: Step, fresh: Path, folder: Path) -> None:
    """From the packages to the program in `fresh`, as it will run in `folder`."""
    tree = fresh / "tree"
    for package in sorted(fresh.glob("*.deb")):
        step.run(["dpkg-deb", "--extract", str(package), str(tree)])
        package.unlink()
    shutil.rmtree(fresh / "apt")
    (tree / "usr/bin/linux.uml").rename(fresh / "linux.uml")
    (tree / "usr/lib/uml/modules").rename(fresh / "modules")
    (fresh / "lib").mkdir()
    for name in (LOADER, "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"):
        (tree / LIBRARIES / name).rename(fresh / "lib" / name)
    shutil.rmtree(tree)
    words = ["--set-interpreter", str(folder / "lib" / LOADER), "--set-rpath", str(folder / "lib")]
    step.run(["patchelf", *words, str(fresh / "linux.uml")])
