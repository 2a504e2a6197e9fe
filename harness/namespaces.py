"""Namespaces in which every address of a lab's networks is this machine's, and which no process outlives.

Owns: entering them, their networks, their end. Leaves to others: what is run inside.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

INSIDE = "SWARM_GALERA_BENCH_INSIDE"
NETWORKS = ("203.0.113.0/24", "10.144.12.0/24")


def enter(module: str, arguments: Sequence[str]) -> None:
    """Start `module` over inside; returns only there, with temporary files in a folder that goes with it.

    Outside, the run's exit code ends the program (SystemExit). Ctrl-C reaches the run, which ends in order;
    SIGTERM and SIGHUP end it and everything it started at once.
    """
    if INSIDE in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for network in NETWORKS:
            subprocess.run(["ip", "route", "add", "local", network, "dev", "lo"], check=True)
        return
    if os.geteuid() != 0:
        sys.exit("Error: network namespaces need root; run this as root.")
    words = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    with tempfile.TemporaryDirectory(prefix="swarm-galera-bench-") as folder:
        process = subprocess.Popen(
            [*words, sys.executable, "-m", module, *arguments],
            env={**os.environ, INSIDE: "1", "TMPDIR": folder},
        )

        def end(number: int, _frame: FrameType | None) -> None:
            # `unshare` passes no signal on. It ends with the first process inside, and so do all others.
            for first in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(first), signal.SIGKILL)
            sys.exit(128 + number)

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGHUP, end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run, in the same terminal, has got it too
        try:
            code = process.wait()
        finally:
            process.wait()  # the folder is removed only when nobody writes to it any more
    sys.exit(code)
