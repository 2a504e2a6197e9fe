"""`ssh-files`: the SSH files that the Docker provider reads, written anew from the stack's outputs.

Owned here: the command. Left to others: the files' place and content (components/docker_host_access.py).
For `refresh` and `destroy` on another machine than the one that ran `up`: they do not run the program.
"""

from __future__ import annotations

import typer

from components.docker_host_access import known_as, ssh_folder, write_ssh_files
from operations import outputs
from operations.options import StackOption
from operations.pulumi_cli import project_name


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(name="ssh-files")(ssh_files)


def ssh_files(stack: StackOption = "dev") -> None:
    """Write the key and known-hosts files that refresh and destroy need on this machine."""
    found = outputs.of_stack(stack)
    first = found.managers[0]
    folder = ssh_folder(project_name(), stack)
    write_ssh_files(folder, known_as(first.address, first.port), first.host_key, found.private_key)
    print(f"Written: {folder}")
