"""A stack of only servers, under the real Pulumi: for chaos, and for tests of the providers under it.

Owns: Pulumi's folders, the stack's file, running pulumi (and killing it).
Leaves to others: the program (servers_only), the account (account.py), what is made of the results.

To be used where all addresses of the lab's networks are this machine's (see `namespaces`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.toolchain import build, places
from operations import leftovers

PROGRAM = Path(__file__).with_name("servers_only")
STACK = "servers"
_QUIET = ("--non-interactive", "--color", "never")
INSIDE = "SWARM_GALERA_SERVERS_INSIDE"


class ServersFailed(Exception):
    """Pulumi cannot do what it is asked to; says what it said."""


@dataclass(frozen=True)
class Done:
    """A run of pulumi: its exit code, everything it printed."""

    code: int
    said: str


class Servers:
    """The stack, in folders of its own below `root`.

    Attributes:
        backend: Pulumi's file backend.
    """

    def __init__(self, root: Path, endpoint: str, environment: dict[str, str], count: int) -> None:
        tools = build.bin_folder()
        if tools is None:
            raise ServersFailed("there is no pulumi; run `make toolchain`")
        self.root, self.backend, self.folder = root, root / "backend", root / "program"
        self._pulumi = tools / "pulumi"
        for folder in (self.backend, self.folder):
            folder.mkdir(parents=True)
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "PYTHON", "SL_"))},
            **environment,
            "PATH": f"{tools}:{places.VENV / 'bin'}:{os.environ['PATH']}",
            "PULUMI_HOME": str(root / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": "servers",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(places.CHECKOUT),
            "PYTHONPYCACHEPREFIX": str(root / "pycache"),
            "XDG_STATE_HOME": str(root / "state"),
        }
        project = {
            "name": "swarm-galera",
            "runtime": {"name": "python", "options": {"virtualenv": str(places.VENV)}},
            "main": str(self.folder),
        }
        (self.folder / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
        (self.folder / "__main__.py").symlink_to(PROGRAM / "__main__.py")
        self.must("stack", "init", STACK)
        self.settings({"endpoint": endpoint, "count": count, "disks": [25, 25], "orderSettle": 5})

    def settings(self, values: dict[str, Any]) -> None:
        """Set `swarm-galera:*` settings."""
        file = self.folder / f"Pulumi.{STACK}.yaml"
        held = yaml.safe_load(file.read_text(encoding="utf-8"))
        config = held.get("config", {}) | {f"swarm-galera:{key}": value for key, value in values.items()}
        file.write_text(yaml.safe_dump({**held, "config": config}), encoding="utf-8")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start pulumi in a session of its own, so that it can be killed together with its providers."""
        return subprocess.Popen(
            [self._pulumi, *words, *(() if words[:2] == ("stack", "init") else ("--stack", STACK)), *_QUIET],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, given: str | None = None) -> Done:
        """Run pulumi to its end; `given` is its standard input."""
        process = self.start(*words)
        said, _ = process.communicate(given)
        return Done(process.returncode, said)

    def must(self, *words: str) -> str:
        """Run pulumi; what it printed. Raises ServersFailed when it fails."""
        done = self.run(*words)
        if done.code != 0:
            raise ServersFailed(f"`pulumi {' '.join(words)}` failed:\n{done.said.strip()}")
        return done.said

    def up(self) -> str:
        """`pulumi up`; what it printed."""
        return self.must("up", "--yes", "--skip-preview", "--parallel", "64")

    def destroy(self) -> str:
        """`pulumi destroy`; what it printed."""
        return self.must("destroy", "--yes", "--skip-preview", "--parallel", "64")

    def guests(self) -> list[int]:
        """Ids of the guests in the state, also of those marked for deletion."""
        resources = json.loads(self.must("stack", "export"))["deployment"].get("resources") or []
        return sorted(int(r["id"]) for r in resources if r["type"].endswith("softlayer:VirtualGuest"))

    def unlock(self) -> None:
        """Clear what a killed run left in the backend, as `python -m operations` does."""
        for lock in (self.backend / ".pulumi" / "locks").rglob("*.json"):
            lock.unlink()
        leftovers.mend_state(f"file://{self.backend}", "swarm-galera", STACK, print)


def kill(process: subprocess.Popen[str]) -> str:
    """SIGKILL for pulumi and every process it started; what was printed until then."""
    with contextlib.suppress(ProcessLookupError):  # it had just ended
        os.killpg(process.pid, signal.SIGKILL)
    said, _ = process.communicate()
    return said


def namespaces(module: str, arguments: Sequence[str]) -> None:
    """Start `module` over in namespaces in which every address of the lab's networks is this machine's.

    Returns at once when it is inside already. Both namespaces, and all in them, end with this process.
    """
    if INSIDE not in os.environ:
        words = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
        python = [sys.executable, "-m", module, *arguments]
        os.execvpe("unshare", ["unshare", *words, *python], {**os.environ, INSIDE: "1"})
    for line in (
        "link set lo up",
        "route add local 203.0.113.0/24 dev lo",
        "route add local 10.144.12.0/24 dev lo",
    ):
        subprocess.run(["ip", *line.split()], check=True)
