"""A script on a host as a Pulumi resource, the one way in which this program uses the `command` plugin.

Owns: how a script gets to the host, and the options that all our commands share.
Leaves to others: the scripts (components/host_scripts), which manager a step on any of them runs on
(any_manager.py).

A step on one host is a `remote.Command` with that host's connection. A step that may run on any manager is a
`local.Command` whose interpreter is `ssh`: no host is among its inputs, so that it neither changes nor runs
again when another one answers. In older versions it was the first manager's `remote.Command`; how such a
state comes over is in moved_steps.py. Should it not have, the alias keeps Pulumi from running the `delete`
of before: it then says that it cannot go on.

The command itself is one short line that names the step, because the plugin quotes it in every error. The
script comes over standard input, and with it the values that are only known during `up`: neither appears on
a command line, where every process of the host could read a join token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_command import local, remote

from components import moved_steps
from components.any_manager import AnyManager
from components.host_scripts.shell import alone, script, sudo, sudo_unless_root
from settings.errors import UserError

Step = remote.Command | local.Command
"""What has run: `stdout`, `stderr` and `id`."""
Where = remote.ConnectionArgs | AnyManager
"""A host, or any manager."""


def run(
    name: str,
    where: Where,
    create: str,
    opts: pulumi.ResourceOptions,
    *,
    update: str | None = None,
    delete: str | None = None,
    values: pulumi.Input[str] = "",
    triggers: Sequence[pulumi.Input[Any]] | None = None,
    secret_output: bool = False,
) -> Step:
    """Run `create` now and again whenever it, `values` or `triggers` change; `delete` at the end.

    Scripts are idempotent, so changed text or values run in place: nothing is deleted first. Changed
    `triggers` replace the command (the SDK says so itself), and `delete`, where there is one, runs then.

    Args:
        where: the host, or any manager.
        create, delete: shell text without the prologue.
        update: what is run in place of `create` where something but `triggers` has changed.
        values: lines that both read from their standard input: what is only known during `up`, and secrets.
        secret_output: keep standard output out of the logs and encrypted in the state.
    """
    if secret_output:
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["stdout"])
        )
    text = steps(name, create, delete, update)
    inputs: dict[str, Any] = {
        "create": as_root(call(name, "create"), where),
        "update": as_root(call(name, "create" if update is None else "update"), where),
        "delete": None if delete is None else as_root(call(name, "delete"), where),
        "stdin": pulumi.Output.from_input(values).apply(lambda lines: with_values(text, lines)),
        "triggers": None if triggers is None else list(triggers),
        # Else the plugin would hand the previous output, a secret at times, over in the environment.
        "add_previous_output_in_env": False,
    }
    if isinstance(where, remote.ConnectionArgs):
        logging = remote.Logging.STDERR if secret_output else None
        return remote.Command(name, connection=where, logging=logging, **inputs, opts=opts)
    through = pulumi.ResourceOptions(
        aliases=[pulumi.Alias(type_=moved_steps.FORMERLY)], depends_on=where.written()
    )
    return local.Command(
        name,
        interpreter=list(where.interpreter),
        logging=local.Logging.STDERR if secret_output else None,
        **inputs,
        opts=pulumi.ResourceOptions.merge(opts, through),
    )


def call(name: str, what: str) -> str:
    """The command line: take the script from standard input and run one of its functions."""
    return f'step={name}; eval "$(cat)"; run {what}'


def as_root(command: str, where: Where) -> str:
    """The command line for whoever logs in there: root, or a user with sudo and no password.

    Who that is on any manager is known once one answers.
    """
    if isinstance(where, AnyManager):
        return sudo_unless_root(command) if where.sudo else command
    return command if where.user in (None, "root") else sudo(command)


def steps(name: str, create: str, delete: str | None, update: str | None = None) -> str:
    """The script with `create`, `delete` and `update` as functions."""
    functions = [f"create() {{\n{create.strip()}\n}}"]
    for called, text in (("delete", delete), ("update", update)):
        if text is not None:
            functions.append(f"{called}() {{\n{text.strip()}\n}}")
    return script(*functions, alone(name))


def with_values(text: str, lines: str) -> str:
    """`text`, whose functions then read `lines` from standard input."""
    end = "END-OF-VALUES"
    if f"\n{end}\n" in f"\n{lines}\n":
        raise UserError(f"a value of a script holds the line {end}, which ends the values")
    return f"{text}\nrun() {{\n\"$1\" <<'{end}'\n{lines.rstrip(chr(10))}\n{end}\n}}\n"
