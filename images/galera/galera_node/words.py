"""The container's log: one line a decision, with the time as mariadbd writes it. Never a secret."""

from __future__ import annotations

import sys
import time


def log(message: str) -> None:
    """One line for a person."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} galera-node: {message}", file=sys.stderr, flush=True)
