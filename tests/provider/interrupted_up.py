"""Ctrl-C in the middle of `operations up` of the whole program, for test_interrupted_up.py; prints JSON.

Owns: the runs and the facts. Leaves to others: what is expected of them.

Hosts answer at once, or never while the lab's API is told to hold them back: then the interruption comes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.scale import Workspace
from harness import namespaces
from harness.account import Account
from lab.toolchain import places
from operations.around_run.leftovers import lock_folder

HOSTS = 3
OPERATIONS = (
    "import sys; from pathlib import Path; from operations import cli, pulumi_cli\n"
    "pulumi_cli.CHECKOUT = Path(sys.argv.pop(1))\n"
    "cli.main()"
)


def start(workspace: Workspace, *words: str) -> subprocess.Popen[str]:
    """`python -m operations WORDS` on the workspace's project, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", OPERATIONS, str(workspace.whole), *words],
        cwd=places.CHECKOUT,
        env=workspace.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(process: subprocess.Popen[str], text: str, times: int) -> str:
    """What it has printed by the time that so many lines hold the text."""
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if sum(text in each for each in said) == times:
            break
    return "".join(said)


def run(root: Path) -> dict[str, Any]:
    """Interrupt one run while it waits for servers, repeat it, and look at everything."""
    with Account(root / "api") as account:
        workspace = Workspace(root, account)
        stack = workspace.prepare(HOSTS)
        up = ("up", "--yes", "--stack", stack)
        account.lab.fault("stuck", step="ASSIGN_HOST")
        first = start(workspace, *up)
        said = until(first, "-ready creating", HOSTS)
        os.killpg(first.pid, signal.SIGINT)
        said += first.communicate()[0]
        ordered_then = account.lab.ordered
        account.lab.clear_faults()
        locks = lock_folder(f"file://{workspace.backend}", "swarm-galera", stack)
        assert locks is not None
        left = [str(file) for file in locks.glob("*")]
        between = state(workspace, stack)
        second = start(workspace, *up)
        said_then = second.communicate()[0]
        after = state(workspace, stack)
        workspace.preview(HOSTS)  # fails if anything changes
        return {
            "code": first.returncode,
            "said": said,
            "ordered_then": ordered_then,
            "locks": left,
            "pending": between.get("pending_operations") or [],
            "in_state_then": guests(between),
            "second": {"code": second.returncode, "said": said_then},
            "ordered": account.lab.ordered,
            "existing": sorted(str(guest.id) for guest in account.lab.guests()),
            "in_state": guests(after),
        }


def state(workspace: Workspace, stack: str) -> dict[str, Any]:
    """The stack's deployment, as in the back end."""
    (file,) = workspace.backend.rglob(f"{stack}.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"]
    return found


def guests(deployment: dict[str, Any]) -> list[str]:
    """Ids of the guests in a deployment."""
    return sorted(str(r["id"]) for r in deployment["resources"] if r["type"].endswith(":VirtualGuest"))


if __name__ == "__main__":
    namespaces.enter("tests.provider.interrupted_up", sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="swarm-galera-interrupted-up-") as temporary:
        print(json.dumps(run(Path(temporary))))
