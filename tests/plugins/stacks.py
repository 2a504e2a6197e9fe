"""Stacks of the tests' own under the real `pulumi`, on a swarm behind SSH."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.toolchain import build, places, plugins
from operations.around_run import leftovers
from tests.support.docker_engine import TestEngine
from tests.support.ssh_server import SshServer

CONNECTED = """\
config = pulumi.Config()
folder, port = config.require("folder"), config.require_int("port")
connection = command.remote.ConnectionArgs(
    host="127.0.0.1", port=port, private_key=config.require_secret("key"), host_key=config.require("hostKey")
)
provider = docker.Provider(
    "swarm",
    host="ssh://root@127.0.0.1:" + str(port),
    ssh_opts=["-i", folder + "/key", "-o", "UserKnownHostsFile=" + folder + "/known_hosts",
              "-o", "StrictHostKeyChecking=yes"],
)"""
"""How a program begins that reaches the swarm behind SSH, once it has imported pulumi, command and docker."""


@dataclass
class Stack:
    """A project in a folder of the test's own, with a file back end; `sshd`: how its swarm is reached."""

    folder: Path
    sshd: SshServer
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run `pulumi` and return all it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout
        return done.stdout

    def command(self, *arguments: str) -> list[str]:
        return ["pulumi", "--non-interactive", "--color=never", *arguments]

    def killed(self, method: str) -> None:
        """`pulumi up`, killed after a call of docker's client; then cleared up as `operations` does."""
        done = subprocess.run(
            self.command("up", "--yes", "--skip-preview"),
            cwd=self.folder,
            env={**self.environment, "DIES_AFTER": method},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        backend = self.environment["PULUMI_BACKEND_URL"]
        folder = leftovers.lock_folder(backend, "plugins", "test")
        assert folder is not None
        leftovers.clear_locks(folder)
        leftovers.mend_state(backend, "plugins", "test")
        clean, pending = leftovers.without_pending(self.exported())
        assert any("creating" in words for words in pending)
        (self.folder / "state.json").write_text(json.dumps(clean))
        self.run("stack", "import", "--file", "state.json")

    def exported(self) -> Any:
        return json.loads(self.run("stack", "export"))

    def outputs(self) -> Any:
        return json.loads(self.run("stack", "output", "--json", "--show-secrets"))


def official_plugins() -> bool:
    """Whether this user has both official plugins."""
    return all(plugins.in_users_folder(each) is not None for each in plugins.plugins())


KINDS = ("lab", "official") if official_plugins() else ("lab",)
"""Whose plugins tests with `pulumi` run with; the header of the tests says which, too."""


@contextlib.contextmanager
def made(
    swarm: TestEngine,
    tmp_path: Path,
    program: str,
    kind: str,
    docker_plugin: str = "lab.plugins.docker",
) -> Iterator[Stack]:
    """A stack in folders of the test's own, on a swarm behind SSH.

    Args:
        kind: of `KINDS`. docker_plugin: module that stands for the lab's docker plugin.
    """
    toolchain = build.bin_folder()
    assert toolchain is not None, "there is no pulumi for the tests: run `make toolchain` first"
    programs = tmp_path / "bin"
    programs.mkdir()
    for each in plugins.plugins():
        if kind == "official":
            users = plugins.in_users_folder(each)
            assert users is not None
            # Not a link: pulumi passes over those.
            shutil.copytree(users, tmp_path / "home" / "plugins" / each.folder)
            continue
        path = programs / each.program
        path.write_text(plugins.launcher(each).replace("lab.plugins.docker", docker_plugin))
        path.chmod(0o755)

    sshd = SshServer("/bin/bash", swarm.environment)
    sshd.sockets["/var/run/docker.sock"] = str(swarm.socket)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: plugins\nruntime: python\n")
    (folder / "__main__.py").write_text(textwrap.dedent(program))
    (folder / "key").write_text(sshd.private_key)
    (folder / "key").chmod(0o600)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    backend = tmp_path / "backend"
    backend.mkdir()
    search = f"{programs}:{toolchain}:{places.VENV / 'bin'}:{os.environ['PATH']}"
    stack = Stack(
        folder,
        sshd,
        {
            "PATH": search,
            "HOME": str(tmp_path),
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(places.CHECKOUT),
        },
    )
    stack.run("stack", "init", "test")
    plain = {"folder": str(folder), "port": str(sshd.port), "hostKey": sshd.host_key}
    secret = {"key": sshd.private_key, "password": "hunter22"}
    words = [word for key, value in plain.items() for word in ("--plaintext", f"{key}={value}")]
    words += [word for key, value in secret.items() for word in ("--secret", f"{key}={value}")]
    stack.run("config", "set-all", *words)
    yield stack
    sshd.stop()
