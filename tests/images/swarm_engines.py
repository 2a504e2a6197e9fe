"""Docker engines for a swarm, each a host of its own on one network; beside any the machine has.

Owns: starting, killing and removing engines, running a host's script against one. Leaves to others: Debian's
packages (`tests.support.docker_engine`), the network (`image_containers`), what the scripts are to do.
There are no bridges and no iptables, so no containers: what is tested is the swarm itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from components.host_scripts.shell import script
from harness.image_containers import Network, run, wait_for
from tests.support import docker_engine

# The engines' names are the hosts': each has a UTS namespace.
START = f'set -e; hostname "$2"{docker_engine.RUN_ENGINE}'


@dataclass
class Engine:
    """One host's engine. Its data outlives its process, as on a host."""

    name: str
    address: str
    folder: Path
    namespace: str
    programs: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.programs}/usr/bin:{self.programs}/usr/sbin:{os.environ['PATH']}"
        home = str(self.folder)
        return {
            "PATH": path,
            "HOME": home,
            "HOSTNAME": self.name,
            "DOCKER_HOST": f"unix://{self.folder}/engine.sock",
        }

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    *("nsenter", f"--net=/run/netns/{self.namespace}"),
                    *("unshare", "--uts", *docker_engine.UNSHARE),
                    *("sh", "-c", START, "sh", str(self.folder), self.name),
                ],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: self.docker("version").returncode == 0, f"{self.name}'s engine", 120)

    def kill(self) -> None:
        """The sudden death of the host."""
        if self.process is not None:
            # The PID namespace ends with its first process. Only then are the engine's files free: a new
            # containerd waits for the database that a dying one holds, and dockerd waits 15 seconds for both.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            pids = ("ip", "netns", "pids", self.namespace)
            wait_for(lambda: not run(*pids).strip(), f"{self.name}'s death", 60)
            for left in ("engine.sock", "dockerd.pid"):
                (self.folder / left).unlink(missing_ok=True)

    def docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._on_host(["docker", *words])

    def run(self, text: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A script with its prologue, as the program has it run on the host."""
        return self._on_host(["bash", "-c", script(text)], stdin)

    def _on_host(self, argv: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.namespace}", *argv],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


class Engines:
    """Engines on one network; everything goes away at the end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sgswarm-"))
        self.network = Network(self.folder.name)
        self.programs = docker_engine.programs_folder()
        self.all: list[Engine] = []

    def add(self, name: str, number: int) -> Engine:
        """A running engine on a host called `name` at 10.77.0.`number`."""
        address = f"10.77.0.{number}"
        folder = self.folder / f"host-{number}"
        folder.mkdir()
        engine = Engine(name, address, folder, self.network.attach(f"h{number}", address), self.programs)
        self.all.append(engine)
        engine.start()
        return engine

    def remove(self) -> None:
        with contextlib.ExitStack() as ends:  # one that does not die leaves no other running
            for engine in self.all:
                ends.callback(engine.kill)
        for mount in sorted(docker_engine.mounts_below(self.folder), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        self.network.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
