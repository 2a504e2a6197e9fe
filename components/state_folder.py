"""Where this program keeps, on the machine that runs it, what outlives a run: notes, locks, SSH files."""

from __future__ import annotations

from pathlib import Path

from platformdirs.unix import Unix


def state_folder() -> Path:
    """`${XDG_STATE_HOME:-~/.local/state}/swarm-galera`, on every system; not made by this.

    A relative XDG_STATE_HOME counts as unset, as the XDG specification says.
    """
    return Unix("swarm-galera").user_state_path
