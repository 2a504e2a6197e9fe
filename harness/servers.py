"""A stack of only servers, under the real Pulumi: for chaos, and for tests of the providers under it.

Owns: Pulumi's folders, the stack's file, running pulumi (and killing it).
Leaves to others: the program (servers_only, own_host_only), the account (account.py), what is made of the
results.

To be used where all addresses of the lab's networks are this machine's (namespaces.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.environment import pulumi_environment
from lab.toolchain import build, places
from operations.around_run import leftovers

PROGRAM = Path(__file__).with_name("servers_only")
STACK = "servers"
_QUIET = ("--non-interactive", "--color", "never")


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
        environment: of pulumi; every process of a run inherits it, by which `kill` finds them.
    """

    def __init__(
        self, root: Path, endpoint: str, environment: dict[str, str], count: int, program: Path = PROGRAM
    ) -> None:
        tools = build.bin_folder()
        if tools is None:
            raise ServersFailed("there is no pulumi; run `make toolchain`")
        self.root, self.backend, self.folder = root, root / "backend", root / "program"
        self._pulumi = tools / "pulumi"
        for folder in (self.backend, self.folder):
            folder.mkdir(parents=True)
        more = {"PYTHONPATH": str(places.CHECKOUT), leftovers.MARK: str(root)}
        self.environment = pulumi_environment(tools, root, {**environment, **more})
        project = {
            "name": "swarm-galera",
            "runtime": {"name": "python", "options": {"virtualenv": str(places.VENV)}},
            "main": str(self.folder),
        }
        (self.folder / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
        (self.folder / "__main__.py").symlink_to(program / "__main__.py")
        self.must("stack", "init", STACK)
        self.settings({"endpoint": endpoint, "count": count, "disks": [25, 25], "orderSettle": 5})

    def settings(self, values: dict[str, Any]) -> None:
        """Set `swarm-galera:*` settings; None takes one away."""
        file = self.folder / f"Pulumi.{STACK}.yaml"
        held = yaml.safe_load(file.read_text(encoding="utf-8"))
        config = held.get("config", {}) | {f"swarm-galera:{key}": value for key, value in values.items()}
        config = {key: value for key, value in config.items() if value is not None}
        file.write_text(yaml.safe_dump({**held, "config": config}), encoding="utf-8")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start pulumi."""
        return subprocess.Popen(
            [self._pulumi, *words, *(() if words[:2] == ("stack", "init") else ("--stack", STACK)), *_QUIET],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
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

    def exported(self) -> dict[str, Any]:
        """The state."""
        state: dict[str, Any] = json.loads(self.must("stack", "export"))
        return state

    def guests(self) -> list[int]:
        """Ids of the guests in the state, also of those marked for deletion."""
        resources = self.exported()["deployment"].get("resources") or []
        return sorted(int(r["id"]) for r in resources if r["type"].endswith("softlayer:VirtualGuest"))

    def unlock(self) -> None:
        """Clear what a killed run left in the backend, as `python -m operations` does."""
        for lock in (self.backend / ".pulumi" / "locks").rglob("*.json"):
            lock.unlink()
        leftovers.mend_state(f"file://{self.backend}", "swarm-galera", STACK)

    def kill(self, process: subprocess.Popen[str], *, all_of_it: bool = True) -> str:
        """SIGKILL for pulumi and every process it started; what was printed until then.

        Pulumi moves its plugins into process groups of their own. Without `all_of_it` only the engine is
        killed, and they stay, as they do when somebody kills the engine.
        """
        if all_of_it:
            kill_marked(str(self.root))
        else:
            process.kill()
        said, _ = process.communicate()
        return said


def kill_marked(mark: str, name: str = leftovers.MARK) -> None:
    """SIGKILL for every process that has the mark in its environment, over again until there is none."""
    while pids := leftovers.marked(mark, name=name):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
