"""The lab's apt repository: the engine's packages, served to the hosts over HTTP.

Owned here: turning the packages that were fetched with a root file system into a flat repository, and what
a lab serves of them. Left to others: which packages (`hosts/rootfs.py`), serving the folder (`daemons.py`).
The packages are Debian's with one change: their data is compressed by zstd and not by xz, because three
hosts that unpack xz side by side on a small machine spend half a minute on it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError
from lab.toolchain import locks
from lab.toolchain.stages import Step

URL = "http://apt.lab:8081/"
PORT = 8081
LEVEL = "3"


def ensure(step: Step, home: Path, packages: Path, key: str) -> Path:
    """The repository of the packages in `packages`, made if `home` has none under `key`."""
    folder = home / key
    with locks.waited_for(home / f"{key}.lock", "lab up", lambda holder: step.say(f"waiting for {holder}")):
        if (folder / "Release").is_file():
            step.result("in the cache")
            return folder
        fresh = home / f"{key}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for package in sorted(packages.glob("*.deb")):
            step.say(f"repacking {package.name}")
            tree = fresh / "tree"
            step.run(["dpkg-deb", "--raw-extract", str(package), str(tree)])
            # %3a, as an epoch's colon is written in these names, would be decoded by the server.
            name = package.name.replace("%3a", ":")
            step.run(["dpkg-deb", "-Zzstd", f"-z{LEVEL}", "--build", str(tree), str(fresh / name)])
            shutil.rmtree(tree)
        index(fresh)
        fresh.replace(folder)
    return folder


def site(folder: Path, usual: Path, others: Mapping[str, Path]) -> Path:
    """The folder that a lab serves: the usual system's packages, those of others in folders of their names.

    Links only, and made anew each time: a lab that runs goes on serving.
    """
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for path in usual.iterdir():
        (fresh / path.name).symlink_to(path)
    for system, repository in others.items():
        (fresh / system).symlink_to(repository)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
    return folder


def index(folder: Path) -> None:
    """Write Packages and Release for the packages in `folder`."""
    (folder / "Packages").write_text(_ftparchive("packages", folder), encoding="utf-8")
    (folder / "Release").write_text(_ftparchive("release", folder), encoding="utf-8")


def _ftparchive(what: str, folder: Path) -> str:
    done = subprocess.run(
        ["apt-ftparchive", what, "."], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LabError(f"apt-ftparchive failed on {folder}: {done.stderr.strip()}. Is apt-utils installed?")
    return done.stdout
