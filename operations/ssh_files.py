"""`ssh-files`: the SSH files by which managers are reached, written anew from the stack's outputs.

Owned here: the command. Left to others: the files' place and content (components/ssh_files.py).
For `refresh` and `destroy` on another machine than the one that ran `up`: they do not run the program.
"""

from __future__ import annotations

import typer

from components.ssh_files import SshManager, ssh_folder, write_ssh_files
from operations import outputs
from operations.options import StackOption
from operations.pulumi_cli import project_name


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(name="ssh-files")(ssh_files)


def ssh_files(stack: StackOption = "dev") -> None:
    """Write the SSH files that `refresh` and `destroy` need, on a machine that has not run `up`."""
    found = outputs.of_stack(stack)
    managers = [
        SshManager(host.name, host.address, host.host_key, host.user, host.port) for host in found.managers
    ]
    folder = ssh_folder(project_name(), stack)
    write_ssh_files(folder, managers, found.private_key, locks=bool(found.unlock_keys))
    print(f"Written: {folder}")
