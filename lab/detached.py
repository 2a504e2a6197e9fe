"""Processes that outlive whoever starts them: the lab's daemons and the hosts' first processes.

Owns: starting one apart from the terminal, and taking notice of its end as long as the starter lives, so that
it leaves no zombie. Leaves to others: what is started, and how it is found and ended later (services.py,
hosts/uml.py).
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


def start(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> int:
    """Start `argv` in a session of its own, its output appended to `log`; returns the process's id.

    `env` None: the present environment. Raises OSError when it cannot be started.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    # The API lives on for days: it waits for its hosts' processes, whenever they end.
    threading.Thread(target=process.wait, name=f"end of {process.pid}", daemon=True).start()
    return process.pid
