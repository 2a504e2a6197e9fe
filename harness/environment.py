"""The environment in which a bench's Pulumi works: folders of its own, nothing of the user's.

Owns: which variables it takes from the machine, and which it sets. Leaves to others: credentials, what runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lab.toolchain import places

_USERS = ("PULUMI_", "PYTHON", "SL_")
"""Beginnings of variables by which the user's own Pulumi, Python or account would get in."""


def pulumi_environment(tools: Path, root: Path, more: Mapping[str, str]) -> dict[str, str]:
    """For the Pulumi in `tools`, with home, back end and state below `root`; `more` comes on top."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(_USERS)},
        "PATH": f"{tools}:{places.VENV / 'bin'}:{os.environ['PATH']}",
        "PULUMI_HOME": str(root / "home"),
        "PULUMI_BACKEND_URL": f"file://{root / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "bench",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "XDG_STATE_HOME": str(root / "state"),
        **more,
    }
