"""A script on a host as a Pulumi resource, the one way in which this program uses `command.remote.Command`.

Owns: how a script gets to the host, and the options that all our commands share.
Leaves to others: the scripts (components/host_scripts).

The command itself is one short line that names the step, because the plugin quotes it in every error. The
script comes over standard input, and with it the values that are only known during `up`: neither appears on
a command line, where every process of the host could read a join token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_command import remote

from components.host_scripts.shell import alone, script, sudo
from settings.errors import UserError


def run(
    name: str,
    connection: remote.ConnectionArgs,
    create: str,
    opts: pulumi.ResourceOptions,
    *,
    delete: str | None = None,
    values: pulumi.Input[str] = "",
    triggers: Sequence[pulumi.Input[Any]] | None = None,
    secret_output: bool = False,
) -> remote.Command:
    """Run `create` now and again whenever it, `values` or `triggers` change; `delete` at the end.

    Scripts are idempotent, so changed text or values run in place: nothing is deleted first. Changed
    `triggers` replace the command (the SDK says so itself), and `delete`, where there is one, runs then.

    Args:
        create, delete: shell text without the prologue.
        values: lines that both read from their standard input: what is only known during `up`, and secrets.
        secret_output: keep standard output out of the logs and encrypted in the state.
    """
    if secret_output:
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["stdout"])
        )
    text = steps(name, create, delete)
    return remote.Command(
        name,
        connection=connection,
        create=as_root(call(name, "create"), connection.user),
        update=as_root(call(name, "create"), connection.user),
        delete=None if delete is None else as_root(call(name, "delete"), connection.user),
        stdin=pulumi.Output.from_input(values).apply(lambda lines: with_values(text, lines)),
        triggers=None if triggers is None else list(triggers),
        # Else the plugin would hand the previous output, a secret at times, over in the environment.
        add_previous_output_in_env=False,
        logging=remote.Logging.STDERR if secret_output else None,
        opts=opts,
    )


def call(name: str, what: str) -> str:
    """The command line: take the script from standard input and run one of its functions."""
    return f'step={name}; eval "$(cat)"; run {what}'


def as_root(command: str, user: pulumi.Input[str] | None) -> str:
    """The command line for this user: what hosts run needs root, or a user with sudo and no password."""
    return command if user in (None, "root") else sudo(command)


def steps(name: str, create: str, delete: str | None) -> str:
    """The script with `create` and `delete` as functions."""
    functions = [f"create() {{\n{create.strip()}\n}}"]
    if delete is not None:
        functions.append(f"delete() {{\n{delete.strip()}\n}}")
    return script(*functions, alone(name))


def with_values(text: str, lines: str) -> str:
    """`text`, whose functions then read `lines` from standard input."""
    end = "END-OF-VALUES"
    if f"\n{end}\n" in f"\n{lines}\n":
        raise UserError(f"a value of a script holds the line {end}, which ends the values")
    return f"{text}\nrun() {{\n\"$1\" <<'{end}'\n{lines.rstrip(chr(10))}\n{end}\n}}\n"
