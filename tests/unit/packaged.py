"""The installed package in this process: what `pip install` of the checkout puts beside other packages."""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path

from tools.package import mapping


@cache
def installed() -> Path:
    """Write the package once a process, have it imported from there, and return the folder."""
    # Imported modules stay as long as the process; only their files go.
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="swarm-galera-package-"))
    folder = Path(_FOLDERS[-1].name)
    mapping.write(folder)
    sys.path.insert(0, str(folder))
    return folder


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
