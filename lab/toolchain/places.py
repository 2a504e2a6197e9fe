"""Where the project keeps what it downloads, builds and runs.

Owned here: the folders of the cache and of a lab, so far as the toolchain needs them. Left to others: what
is in a lab's folder. Standard library only, because it runs before the virtual environment is there.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
VENV = CHECKOUT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"


def _base(variable: str, default: str) -> Path:
    """The XDG base folder in `variable`; relative values count as unset, as the XDG specification says."""
    value = os.environ.get(variable, "")
    base = Path(value) if os.path.isabs(value) else Path.home() / default
    return base / "swarm-galera"


def cache() -> Path:
    """The cache all labs share: `${XDG_CACHE_HOME:-~/.cache}/swarm-galera`."""
    return _base("XDG_CACHE_HOME", ".cache")


def state() -> Path:
    """What is running: `${XDG_STATE_HOME:-~/.local/state}/swarm-galera`."""
    return _base("XDG_STATE_HOME", ".local/state")


def lab_folder(lab: str) -> Path:
    """The folder of the lab of that name."""
    return state() / "labs" / lab


def pulumi_home(lab: str) -> Path:
    """The lab's own PULUMI_HOME, which holds its plugins."""
    return lab_folder(lab) / "pulumi-home"


def job_lock(lab: str) -> Path:
    """Held by the job that is at work on the lab, from its beginning to its end."""
    return state() / "locks" / f"lab-{lab}.lock"


def logs(job: str) -> Path:
    """The folder of the logs of a job's steps, the newest run's only."""
    return state() / "logs" / job


def machine() -> str:
    """The processor's kind as the kernel says it, e.g. `x86_64`."""
    return platform.machine()
