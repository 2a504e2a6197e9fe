"""A script on a host as a Pulumi resource, the one way in which this program uses `command.remote.Command`.

Owns: the options that all our commands share. Leaves to others: the scripts (components/commands).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_command import remote

from components.commands.shell import alone, script


def run(
    name: str,
    connection: remote.ConnectionArgs,
    create: str,
    opts: pulumi.ResourceOptions,
    *,
    delete: str | None = None,
    stdin: pulumi.Input[str] | None = None,
    triggers: Sequence[pulumi.Input[Any]] | None = None,
    secret_output: bool = False,
) -> remote.Command:
    """Run `create` now and again whenever it, `stdin` or `triggers` change; `delete` at the end.

    Scripts are idempotent, so a change runs the new text in place: nothing is deleted first.

    Args:
        create, delete: shell text without the prologue.
        stdin: the values that are only known during `up`, and all secrets: they never stand in a script.
        secret_output: keep standard output out of the logs and encrypted in the state.
    """
    text = script(alone(name), create)
    if secret_output:
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["stdout"])
        )
    return remote.Command(
        name,
        connection=connection,
        create=text,
        update=text,
        delete=None if delete is None else script(alone(name), delete),
        stdin=stdin,
        triggers=None if triggers is None else list(triggers),
        # Else the plugin would hand the previous output, a secret at times, over in the environment.
        add_previous_output_in_env=False,
        logging=remote.Logging.STDERR if secret_output else None,
        opts=opts,
    )
