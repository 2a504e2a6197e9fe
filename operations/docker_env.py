"""`docker-env`: the environment in which docker's programs ask an engine of the stack with TLS.

Owned here: the command, and the files that it writes; as docker-machine had it: `eval "$(… docker-env)"`.
Left to others: the certificate (components/engine_tls.py), which manager answers (around_run/engine_way.py).
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from components import engine_choice
from components.engine_choice import Shown
from components.ssh_files import ssh_folder, write_private
from operations import outputs
from operations.around_run import engine_way
from operations.errors import OperationsError
from operations.options import StackOption
from operations.outputs import EngineAccess, Outputs
from operations.pulumi_cli import project_name


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(name="docker-env")(docker_env)


def docker_env(
    stack: StackOption = "dev",
    host: Annotated[
        str,
        typer.Option("--host", help="The host whose engine is asked; without it, a manager that answers."),
    ] = "",
) -> None:
    """Print the environment in which `docker` asks an engine of the stack (engine.access: tls); for `eval`.

    Writes the client's certificate and key into a folder beside the stack's SSH files, for this user alone.
    """
    found = outputs.of_stack(stack)
    engine = require_tls(found, stack)
    if host and host not in engine.addresses:
        raise OperationsError(f"Stack {stack} has no host {host}: give one of {', '.join(engine.addresses)}.")
    address = engine.addresses[host] if host else engine_way.of_a_manager(found, engine)
    folder = certificates_folder(project_name(), stack)
    write_certificates(folder, engine.shown)
    print(f"export DOCKER_HOST={shlex.quote(engine_choice.url(address))}")
    print("export DOCKER_TLS_VERIFY=1")
    print(f"export DOCKER_CERT_PATH={shlex.quote(str(folder))}")


def require_tls(found: Outputs, stack: str) -> EngineAccess:
    """Raises OperationsError where engines are reached over SSH alone."""
    if found.engine is None:
        raise OperationsError(
            f"The engines of stack {stack} are reached over SSH alone: set engine.access: tls and run `up`, "
            "or have docker go through SSH (docs/how-to/engine-access.md)."
        )
    return found.engine


def certificates_folder(project: str, stack: str) -> Path:
    """Where docker's programs find them; it goes with the stack's SSH files."""
    return ssh_folder(project, stack) / "docker"


def write_certificates(folder: Path, shown: Shown) -> None:
    """Write what differs, under the names that docker's programs know."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in (("ca", shown.authority), ("cert", shown.certificate), ("key", shown.key)):
        write_private(folder / f"{name}.pem", text)
