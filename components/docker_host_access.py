"""How the docker resources reach the swarm: through the first manager's engine, over SSH.

Owns: the Docker provider and the two files that the `ssh` program needs: the private key and the pinned host
key. Leaves to others: everything that is made with the provider.

The files stay where they are after `up`, readable by their owner alone: `refresh` and `destroy` do not run
this program, and the provider reads them then. `python -m operations ssh-files` writes them anew on another
machine, and `python -m operations destroy` removes them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components.cluster_host import SSH_PORT, ClusterHost
from components.state_folder import state_folder


@dataclass(frozen=True)
class DockerHostAccessArgs:
    """The way to the swarm's engine.

    Attributes:
        manager: the first manager.
        private_key: OpenSSH text, secret; None where the SSH agent holds the key.
        after: what must be there before anything is made with the provider.
    """

    manager: ClusterHost
    private_key: pulumi.Input[str | None]
    after: Sequence[pulumi.Resource]


class DockerHostAccess(pulumi.ComponentResource):
    """The provider of all docker resources.

    Attributes:
        provider: for `ResourceOptions.provider`.
    """

    def __init__(
        self, name: str, args: DockerHostAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("swarm-galera:docker_host_access:DockerHostAccess", name, None, opts)
        folder = ssh_folder(pulumi.get_project(), pulumi.get_stack())
        options = pulumi.Output.all(args.manager.address, args.manager.host_key, args.private_key).apply(
            lambda known: write_ssh_files(folder, known_as(known[0], args.manager.port), known[1], known[2])
        )
        self.provider = docker.Provider(
            f"{name}-provider",
            host=args.manager.address.apply(
                lambda address: engine_at(address, args.manager.user, args.manager.port)
            ),
            # Paths, not the key: nothing secret is left in them.
            ssh_opts=pulumi.Output.unsecret(options),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(args.after), deleted_with=args.manager.takes_along
            ),
        )
        self.register_outputs({})


def engine_at(address: str, user: str = "root", port: int = SSH_PORT) -> str:
    """The engine's URL. A user who is not root must be in the group docker (host_scripts/own.py)."""
    return f"ssh://{user}@{address}" + ("" if port == SSH_PORT else f":{port}")


def known_as(address: str, port: int = SSH_PORT) -> str:
    """What `known_hosts` calls a host."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


def ssh_folder(project: str, stack: str) -> Path:
    """Where a stack's SSH files are: $SWARM_GALERA_SSH/PROJECT-STACK.

    Without that variable, `ssh` in the program's state folder. It is for whoever keeps several back ends on
    one machine, in which stacks have the same names.
    """
    base = Path(os.environ.get("SWARM_GALERA_SSH") or state_folder() / "ssh")
    return base / f"{project}-{stack}"


def write_ssh_files(folder: Path, address: str, host_key: str, private_key: str | None) -> list[str]:
    """Write key and known hosts, if they differ, and return the options that make `ssh` use only them.

    Returns the same for the same stack on the same machine, so that the provider does not change.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known_hosts = folder / "known_hosts"
    _write_private(known_hosts, f"{address} {host_key}\n")
    options = [
        *("-o", f"UserKnownHostsFile={known_hosts}"),
        *("-o", "GlobalKnownHostsFile=/dev/null"),
        *("-o", "StrictHostKeyChecking=yes"),
        *("-o", "BatchMode=yes"),
        *("-o", "ConnectTimeout=30"),
        *("-o", "ServerAliveInterval=15"),
    ]
    if private_key is None:
        return options
    key = folder / "id"
    _write_private(key, private_key if private_key.endswith("\n") else f"{private_key}\n")
    return ["-i", str(key), "-o", "IdentitiesOnly=yes", *options]


def _write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner only from its first moment on."""
    if path.is_file() and path.stat().st_mode & 0o777 == 0o600 and path.read_text() == text:
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
