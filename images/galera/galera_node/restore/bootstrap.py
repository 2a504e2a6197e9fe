"""A new cluster that begins with the data of an archive: `/etc/galera-node/bootstrap.json` and three secrets.

Counts at the very first bootstrap only, when the store knows no cluster and no node has data; from then on
there is a record of the cluster, and one of the restore. Owns: reading what the deployment wants, and the
process that restores (`galera-node restore bootstrap`) beside the node's first one. Leaves to others: the
restore itself.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..archive.layout import Place
from ..archive.plan import Target
from ..settings import Settings, SettingsError, one_line
from ..store import Facts
from ..words import log

FILE = Path("/etc/galera-node/bootstrap.json")
ACCESS_KEY, SECRET_KEY, IDENTITY = "bootstrap-access-key", "bootstrap-secret-key", "bootstrap-identity"
"""Secrets."""
BY = "bootstrapFrom"
"""Who has begun such a restore, in its record."""
COMMAND = ("/usr/local/bin/galera-node", "restore", "bootstrap")
AGAIN = 30.0  # seconds after its end until it is started again


@dataclass(frozen=True)
class Beginning:
    """Where the data comes from. `to`: as a person says it; `timeline`: empty for the last one."""

    target: Target
    place: Place
    to: str
    timeline: str = ""


def read(file: Path | None = None) -> Beginning | None:
    """What the deployment wants; None where a new cluster begins empty. Raises SettingsError."""
    path = file or Path(os.environ.get("BOOTSTRAP_FILE", FILE))
    try:
        values = json.loads(path.read_text())
        target = Target.of(values)
        place = Place(target.prefix, str(values["cluster"]))
        return Beginning(target, place, str(values["to"]), str(values.get("timeline", "")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(f"{path} is not what this image knows: {type(error).__name__}: {error}") from None


def keys(secrets: Path) -> tuple[str, str]:
    """The access key and the secret key. Raises SettingsError."""
    return one_line(secrets / ACCESS_KEY), one_line(secrets / SECRET_KEY)


class Beginner:
    """The process that restores, of one container; nothing where a new cluster begins empty."""

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        """Raises SettingsError."""
        self.wanted = read()
        self._settings, self._command = settings, command
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: float | None = None

    def mine(self, facts: Facts) -> bool:
        """Whether a restore is under way that this node has begun for it."""
        restore = facts.restore
        return (
            self.wanted is not None
            and restore is not None
            and (restore.by, restore.node) == (BY, self._settings.node)
            and restore.phase in ("stop", "load")
        )

    def look(self, now: float) -> None:
        """Starts it, or starts it again. `now`: monotonic seconds."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            log("the restore with which this cluster is to begin has not come to its end; it is tried again")
            self._process, self._ended = None, now
        if self._ended is None or now - self._ended >= AGAIN:
            with open(self._settings.secrets / IDENTITY, "rb") as identity:
                self._process = subprocess.Popen(list(self._command), stdin=identity)
