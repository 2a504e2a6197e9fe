"""The majority is lost for good: a person's word that this member goes on alone, and when it is refused.

Owns: whether there is nothing to force. Leaves to others: the start that makes one cluster of it (`alone`).
"""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .alone import leave_word
from .api import LocalMember
from .ctl import ApiError
from .member_data import has_member_data
from .peers import ask_all, context
from .settings import Settings, load

STARTING = 30.0  # seconds in which a member that does not answer may only be slow


class Undecided(Exception):
    """Whether there is a majority will be seen in a moment."""


def age(process: int) -> float:
    """Seconds since a process has started; a long time if there is none."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return float(Path("/proc/uptime").read_text().split()[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return float("inf")


def has_majority(settings: Settings, up: float, log: Callable[[str], None]) -> bool:
    """Whether a majority answers, or may do so in a moment. This member's word counts if it runs.

    One that has started without a majority serves nobody, and cannot be asked; then the others are. `up`:
    seconds since it has started. Raises Undecided, or ApiError.
    """
    # A member says after some election time-outs that it has no majority; so long it may take.
    api = LocalMember(settings.local_port, settings.loopback, timeout=60.0)
    if api.serves():
        return any(api.has_majority() for _ in range(2))
    if up < STARTING:
        raise Undecided(f"this member is {up:.0f} s old and does not answer yet: repeat")
    log("this member serves nobody; asking the others")
    others = {name: url for name, url in settings.peers.items() if name != settings.name}
    answers = ask_all(others, settings.name, context(settings, ssl.PROTOCOL_TLS_CLIENT))
    with_data = [name for name, members in answers.items() if members]
    return 2 * (len(with_data) + 1) > len(settings.peers)


def end_soon(process: int) -> None:
    """Ends a process in a second: that of the container takes all others with it, this command, too."""
    command = f"import os, time; time.sleep(1); os.kill({process}, {int(signal.SIGTERM)})"
    subprocess.Popen(
        [sys.executable, "-ISc", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def force_new_cluster(
    log: Callable[[str], None], environ: Mapping[str, str] = os.environ, process: int = 1
) -> int:
    """Leaves the word for the next start, and ends this container's first process, which is `process`.

    Refused while a majority answers: there is nothing to force then, and members that live would be cut off.
    """
    settings = load(environ)
    if not has_member_data(settings.data_dir):
        print("this member has no data: there is nothing to go on from", file=sys.stderr)
        return 1
    try:
        majority = has_majority(settings, age(process), log)
    except (Undecided, ApiError) as error:
        print(error, file=sys.stderr)
        return 1
    if majority:
        print("the store has its majority: nothing is to be forced")
        return 0
    leave_word(settings.data_dir)
    end_soon(process)
    print("this member goes on alone with all records once the engine has started it anew.")
    print("If it has not ended in half a minute (it waits for the others): docker kill its container.")
    print("Hosts of former members must come back empty: etcd-data/_data/member removed.")
    return 0
