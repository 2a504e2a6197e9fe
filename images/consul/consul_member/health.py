"""The health check: what the first process last said, read from a file in memory.

The check runs every few seconds on hosts where starting a process is dear, so it asks nobody.
"""

from __future__ import annotations

import time
from pathlib import Path

FILE = "health"
STALE = 30.0  # seconds without a word


def write(run_dir: Path, healthy: bool, text: str) -> None:
    """Publishes the verdict for the check."""
    new = run_dir / f"{FILE}.new"
    new.write_text(f"{time.monotonic()} {int(healthy)} {text}\n")
    new.rename(run_dir / FILE)


def check(run_dir: Path) -> tuple[int, str]:
    """Exit code and line of the health check."""
    try:
        at, healthy, text = (run_dir / FILE).read_text().rstrip("\n").split(" ", 2)
        age = time.monotonic() - float(at)
    except (OSError, ValueError):
        return 1, "consul-member has not said anything yet"
    if age > STALE:
        return 1, f"consul-member has been silent for {age:.0f} s; it last said: {text}"
    return (0 if healthy == "1" else 1), text
