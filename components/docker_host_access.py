"""How the docker resources reach the swarm: through any manager's engine, over SSH.

Owns: the Docker provider. Leaves to others: the files that the `ssh` program reads (ssh_files.py), which
manager it is (manager_choice.py), everything that is made with the provider.

The provider has one host, and it is none: `any-manager` in the SSH configuration, behind which whoever
answers is chosen for each connection, also when `refresh` and `destroy` do not run this program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.any_manager import AnyManager
from components.ssh_files import ALIAS


@dataclass(frozen=True)
class DockerHostAccessArgs:
    """The way to the swarm's engines.

    Attributes:
        manager: any of them.
        goes_with: the server with which all of it goes; None where it is taken apart piece by piece.
        after: what must be there before anything is made with the provider.
    """

    manager: AnyManager
    goes_with: pulumi.Resource | None
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
        self.provider = docker.Provider(
            f"{name}-provider",
            host=f"ssh://{ALIAS}",
            ssh_opts=args.manager.options,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=list(args.after), deleted_with=args.goes_with
            ),
        )
        self.register_outputs({})
