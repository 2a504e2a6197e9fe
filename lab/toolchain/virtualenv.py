"""The virtual environment in `.venv`: made once, brought up to date only when the lock file changes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from lab.toolchain import locks, places
from lab.toolchain.stages import Step

LOCK = "requirements-dev.lock"
"""Every package with its version and hashes, from requirements-dev.txt by `make lock`."""
STAMP = "swarm-galera.stamp"


def key(checkout: Path = places.CHECKOUT) -> str:
    """What the environment is made from: the lock file, the place, and Python's version."""
    digest = hashlib.sha256(f"{checkout} {sys.version_info[:2]}".encode())
    digest.update((checkout / LOCK).read_bytes())
    return digest.hexdigest()


def works() -> bool:
    """Whether the environment starts and was made here: a half made or moved one has broken scripts."""
    try:
        done = subprocess.run([places.VENV / "bin" / "pip", "--version"], capture_output=True, check=False)
    except OSError:
        return False
    head = (places.VENV / "bin" / "pip").read_text(encoding="utf-8", errors="replace").split("\n")[0]
    return done.returncode == 0 and str(places.VENV) in head


def make(step: Step) -> None:
    """Bring `.venv` to what requirements-dev.lock says."""
    with locks.waited_for(places.cache() / "venv.lock", "make", lambda who: step.say(f"waiting for {who}")):
        stamp = places.VENV / STAMP
        if stamp.exists() and stamp.read_text(encoding="ascii") == key() and places.VENV_PYTHON.exists():
            step.result("up to date")
            return
        stamp.unlink(missing_ok=True)
        if not works():
            shutil.rmtree(places.VENV, ignore_errors=True)
            step.run([sys.executable, "-m", "venv", places.VENV])
        pip: list[str | Path] = [places.VENV_PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        locked: list[str | Path] = ["--require-hashes", "--requirement", places.CHECKOUT / LOCK]
        step.run([*pip, "install", "--progress-bar", "off", *locked])
        stamp.write_text(key(), encoding="ascii")
