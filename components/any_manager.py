"""The way to the swarm: any manager that answers.

Owns: what a step that is to run "on a manager" is given, and that the SSH files are there before it.
Leaves to others: the files (ssh_files.py), the choice (manager_choice.py), the step (remote.py).

Nothing that is declared by it names a host: so nothing changes when another manager answers, or when one is
replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import moved_steps
from components.cluster_host import ClusterHost
from components.first_bootstrap import last_resources
from components.in_state import unless_told
from components.ssh_access import SshAccess
from components.ssh_files import ALIAS, SshManager, interpreter, ssh_folder, ssh_options, write_ssh_files


@dataclass(frozen=True)
class AnyManager:
    """Whichever manager answers.

    Attributes:
        options: for the `ssh` program; known once the files are written.
        interpreter: what runs a command line there.
        sudo: whether anybody but root logs in to one of them.
    """

    options: pulumi.Output[list[str]]
    interpreter: Sequence[str]
    sudo: bool = False

    @classmethod
    def of(
        cls,
        managers: Sequence[ClusterHost],
        ssh: SshAccess,
        last: Mapping[str, Any] | None = None,
        *,
        locks: bool = False,
    ) -> AnyManager:
        """Of these hosts, asked in this order; the files are written as soon as all are known.

        In the preview of a run that makes one of them, those of the last run lead to the others. If their
        place were not known then, all docker resources would count as changed.

        Args:
            last: outputs of the stack's last complete run.
            locks: the swarm has autolock.
        """
        project, stack = pulumi.get_project(), pulumi.get_stack()
        known = [pulumi.Output.all(server.address, server.host_key) for server in managers]

        def write(told: list[list[str]], private_key: str | None) -> list[str]:
            found = [
                SshManager(server.hostname, address, host_key, server.user, server.port)
                for server, (address, host_key) in zip(managers, told, strict=True)
            ]
            return write_ssh_files(ssh_folder(project, stack), found, private_key, locks=locks)

        options = pulumi.Output.all(pulumi.Output.all(*known), ssh.private_key).apply(
            lambda both: write(both[0], both[1])
        )
        former = ssh_options(ssh_folder(project, stack)) if _by_any_manager(last or {}) else None
        # Paths, not the key: nothing secret is left in them.
        return cls(
            unless_told(pulumi.Output.unsecret(options), former, known),
            interpreter(project, stack),
            any(server.user != "root" for server in managers),
        )

    @staticmethod
    def reached(outputs: Mapping[str, Any]) -> bool:
        """Whether steps on a manager may be declared as any manager's: False, and said, in a stack that an
        older version made and whose state was not moved yet.

        Args:
            outputs: of the last complete run.
        """
        if not outputs or _by_any_manager(outputs):
            return True
        if not moved_steps.former(last_resources()):
            return True
        pulumi.log.warn(
            "What is asked of the swarm is still asked of the first manager: an older version made this "
            "stack. `python -m operations up`, once, has any manager do; nothing is replaced for it."
        )
        return False

    def written(self) -> pulumi.Output[list[pulumi.Resource]]:
        """For use as `depends_on`: resolves when the files are there, and names no resource."""

        async def wait() -> list[pulumi.Resource]:
            await self.options.future()
            return []

        return pulumi.Output.from_input(wait())


def _by_any_manager(outputs: Mapping[str, Any]) -> bool:
    """Whether the run that these outputs are of went that way."""
    return bool((outputs.get("ssh") or {}).get("manager") == ALIAS)
