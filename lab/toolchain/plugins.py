"""The `command` and `docker` plugins of a lab's Pulumi.

Owned here: which plugin is put into a lab's PULUMI_HOME, and that it is the one that is meant. Left to
others: what the lab's own plugins do (`lab/plugins/`).

The official plugins are taken from the user's own Pulumi folder if they are there; with a `pulumi` that was
there before, also from where Pulumi gets them. Where they cannot be had, a plugin of the same name and
version is installed whose program is a launcher: it runs `lab.plugins.NAME` of this checkout in its virtual
environment.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.toolchain import build, locks, places
from lab.toolchain.errors import ToolchainError

NAMES = ("command", "docker")
DOWNLOAD_PATIENCE = 120  # seconds for the official plugin's download; no answer counts as not reachable


@dataclass(frozen=True)
class Plugin:
    """A provider plugin: its name and its version without `v`, the one that the Python package asks for."""

    name: str
    version: str

    @property
    def program(self) -> str:
        """The executable's name."""
        return f"pulumi-resource-{self.name}"

    @property
    def folder(self) -> str:
        """The folder's name that Pulumi gives it below `plugins` in its home."""
        return f"resource-{self.name}-v{self.version}"


def plugins(requirements: str | None = None) -> list[Plugin]:
    """The plugins and versions that requirements.txt (or the given text of its form) calls for."""
    text = (
        (places.CHECKOUT / "requirements.txt").read_text(encoding="utf-8")
        if requirements is None
        else requirements
    )
    found = []
    for name in NAMES:
        pin = re.search(rf"^pulumi-{name}==(\S+)", text, re.MULTILINE)
        if pin is None:
            raise ToolchainError(
                f"requirements.txt does not pin pulumi-{name}, so the plugin's version is unknown: pin it."
            )
        found.append(Plugin(name, pin.group(1)))
    return found


def launcher(plugin: Plugin, checkout: Path = places.CHECKOUT) -> str:
    """The program of the lab's own plugin: a script that becomes its Python process."""
    python = shlex.quote(str(checkout / ".venv" / "bin" / "python"))
    return (
        "#!/bin/sh\n"
        f"# {plugin.program} {plugin.version} of the lab, where the official one cannot be downloaded\n"
        f'PYTHONPATH={shlex.quote(str(checkout))} exec {python} -m lab.plugins.{plugin.name} "$@"\n'
    )


def tarball(plugin: Plugin, script: str) -> bytes:
    """A gzipped plugin archive with the script as its program, as `pulumi plugin install --file` takes it."""
    content = script.encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(plugin.program)
        entry.size = len(content)
        entry.mode = 0o755
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def in_users_folder(plugin: Plugin) -> Path | None:
    """The official plugin's folder in the user's Pulumi home ($PULUMI_HOME, by default ~/.pulumi), if any."""
    users = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "plugins" / plugin.folder
    program = users / plugin.program
    # What a lab has put into its own home, which may be the environment's, is not the user's.
    return users if program.is_file() and not _stamp(users.parents[1], plugin).exists() else None


def told() -> str:
    """A word on the plugins that a lab would get now, as far as it can be said without asking a server."""
    return ", ".join(_word(plugin, in_users_folder(plugin) is not None) for plugin in plugins())


def _word(plugin: Plugin, official: bool) -> str:
    return f"{plugin.name} {plugin.version} ({'official' if official else 'of the lab'})"


def ensure(home: Path) -> str:
    """Have both plugins in the PULUMI_HOME `home`; cheap when they are. Returns a word on what is there."""
    folder = build.bin_folder()
    if folder is None:
        raise ToolchainError("There is no pulumi to install plugins with: run `make toolchain`.")
    may_download = folder == build.installed()
    said = []
    with locks.waited_for(home / "plugins.lock", "plugin install", lambda _who: None):
        for plugin in plugins():
            official = _copied(home, plugin) or (
                may_download and _downloaded(folder / "pulumi", home, plugin)
            )
            if not official:
                _own(folder / "pulumi", home, plugin)
            said.append(_word(plugin, official))
    return ", ".join(said)


def _stamp(home: Path, plugin: Plugin) -> Path:
    return home / "plugins" / f".{plugin.folder}.key"


def _is_there(home: Path, plugin: Plugin, key: str) -> bool:
    stamp = _stamp(home, plugin)
    program = home / "plugins" / plugin.folder / plugin.program
    return program.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == key


def _copied(home: Path, plugin: Plugin) -> bool:
    """Whether the user has the official plugin, and `home` now, too."""
    users = in_users_folder(plugin)
    if users is None:
        return False
    there = (users / plugin.program).stat()
    key = f"official {there.st_size} {there.st_mtime_ns}"
    if not _is_there(home, plugin, key):
        target = home / "plugins" / plugin.folder
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(users, target)
        _stamp(home, plugin).write_text(key, encoding="ascii")
    return True


def _downloaded(pulumi: Path, home: Path, plugin: Plugin) -> bool:
    """Whether the official plugin is in `home` from where Pulumi gets it."""
    if _is_there(home, plugin, "official"):
        return True
    try:
        done = _install(pulumi, home, plugin, [], DOWNLOAD_PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode != 0:
        return False
    _stamp(home, plugin).write_text("official", encoding="ascii")
    return True


def _own(pulumi: Path, home: Path, plugin: Plugin) -> None:
    script = launcher(plugin)
    key = hashlib.sha256(script.encode()).hexdigest()
    if _is_there(home, plugin, key):
        return
    with tempfile.TemporaryDirectory(prefix="swarm-galera-plugin-") as scratch:
        archive = Path(scratch) / "plugin.tgz"
        archive.write_bytes(tarball(plugin, script))
        done = _install(pulumi, home, plugin, ["--reinstall", "--file", str(archive)], None)
    if done.returncode != 0:
        raise ToolchainError(
            f"Plugin {plugin.name} could not be installed into {home}: {done.stderr.strip()}"
        )
    _stamp(home, plugin).write_text(key, encoding="ascii")


def _install(
    pulumi: Path, home: Path, plugin: Plugin, options: list[str], patience: float | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [pulumi, "plugin", "install", "resource", plugin.name, plugin.version, *options],
        env={**os.environ, "PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
    )
