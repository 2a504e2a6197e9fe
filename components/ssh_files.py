"""A stack's SSH files: what `ssh` needs to reach any of its managers, and each by its name.

Owns: the files, their place and content; how a step's command line finds them. Imports no Pulumi.
Leaves to others: choosing a manager (manager_choice.py), who uses them (any_manager.py,
docker_host_access.py).

They are made for the `ssh` program, which the docker plugin runs, and steps on a manager, too: `config`, the
private key `id`, `known_hosts` with the pinned host keys, and the choice of a manager. They stay where they
are after `up`, readable by their owner alone: `refresh` and `destroy` do not run this program, and read them
then. `python -m operations ssh-files` writes them anew on another machine, `python -m operations destroy`
removes them. `ssh -F …/config galera-2` is for people.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import manager_choice
from components.softlayer.guest_ready_provider import HOST_KEY_TYPES
from components.state_folder import state_folder
from settings.own_hosts import SSH_PORT

ALIAS = "any-manager"
"""The host name that leads to whichever manager answers."""


@dataclass(frozen=True)
class SshManager:
    """A manager as `ssh` reaches it.

    Attributes:
        name: host name. address, port: where its SSH is. user: who logs in.
        host_key: pinned, `ssh-ed25519 AAAA…`.
    """

    name: str
    address: str
    host_key: str
    user: str = "root"
    port: int = SSH_PORT


def of_outputs(ssh: Mapping[str, Any], managers: Sequence[str]) -> list[SshManager]:
    """The managers of a stack's outputs of these names: for other projects, which know nothing else of it."""
    users, ports = ssh.get("users") or {}, ssh.get("ports") or {}
    return [
        SshManager(
            name,
            ssh["addresses"][name],
            ssh["hostKeys"][name],
            users.get(name, ssh["user"]),
            int(ports.get(name, SSH_PORT)),
        )
        for name in managers
    ]


def ssh_folder(project: str, stack: str) -> Path:
    """Where a stack's SSH files are: $SWARM_GALERA_SSH/PROJECT-STACK.

    Without that variable, `ssh` in the program's state folder. It is for whoever keeps several back ends on
    one machine, in which stacks have the same names.
    """
    base = Path(os.environ.get("SWARM_GALERA_SSH") or state_folder() / "ssh")
    return base / f"{project}-{stack}"


def interpreter(project: str, stack: str) -> list[str]:
    """What runs a command line on a manager, on whichever machine: it finds `ssh_folder` by itself.

    A path would be another one on another machine, and every step would run again there.
    """
    stack_folder = shlex.quote(f"{project}-{stack}")
    text = (
        'case "${XDG_STATE_HOME:-}" in /*) state=$XDG_STATE_HOME ;; *) state=$HOME/.local/state ;; esac; '
        f'exec ssh -F "${{SWARM_GALERA_SSH:-$state/swarm-galera/ssh}}"/{stack_folder}/config {ALIAS} "$0"'
    )
    return ["/bin/sh", "-c", text]


def write_ssh_files(
    folder: Path, managers: Sequence[SshManager], private_key: str | None, *, locks: bool = False
) -> list[str]:
    """Write what differs, and return the options that make `ssh` use only these files.

    Returns the same for the same stack on the same machine, so that the provider does not change.

    Args:
        managers: in the order in which they are asked.
        private_key: OpenSSH text; None where the SSH agent holds the key.
        locks: the swarm has autolock.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / "id"
    if private_key is None:
        key.unlink(missing_ok=True)
    else:
        write_private(key, private_key if private_key.endswith("\n") else f"{private_key}\n")
    listed = [
        {"name": each.name, "address": each.address, "port": each.port, "user": each.user}
        for each in managers
    ]
    write_private(folder / "known_hosts", known_hosts(managers))
    write_private(folder / "managers.json", json.dumps(listed, indent=1) + "\n")
    write_private(folder / "choice.py", Path(manager_choice.__file__).read_text(encoding="utf-8"))
    if locks:
        write_private(folder / manager_choice.LOCKS, "")
    else:
        (folder / manager_choice.LOCKS).unlink(missing_ok=True)
    write_private(folder / "config", config(folder, managers, with_key=private_key is not None))
    return options(folder)


def forget_choice(folder: Path) -> None:
    """Have the first manager that answers be chosen next, and not who was chosen last: a run that takes the
    swarm down asks whoever stays to the end.
    """
    (folder / manager_choice.CHOSEN).unlink(missing_ok=True)


def ssh_options(folder: Path) -> list[str] | None:
    """The same of files that were written before; None where there are none."""
    return options(folder) if (folder / "config").exists() else None


def options(folder: Path) -> list[str]:
    """What makes `ssh` use only these files."""
    return ["-F", str(folder / "config")]


def known_hosts(managers: Sequence[SshManager]) -> str:
    """A line for each: whoever is chosen must show the key of one of them.

    The address comes last. By it alone they were known to older versions, whose states may still name it.
    """
    return "".join(
        f"{ALIAS},{each.name},{known_as(each.address, each.port)} {each.host_key}\n" for each in managers
    )


def known_as(address: str, port: int = SSH_PORT) -> str:
    """What `known_hosts` calls a host."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


def config(folder: Path, managers: Sequence[SshManager], *, with_key: bool) -> str:
    """OpenSSH's configuration.

    Of host keys the kinds that are pinned are asked for, in the order of the first contact: a host that has
    several would show another one.

    `ssh` must know who logs in before it connects. So where that differs, the configuration itself asks
    whether the chosen manager is one of this or of that user, and the connection goes to no other user's.
    """
    python = os.path.realpath(sys.executable)
    choice = shlex.join([python, "-IS", str(folder / "choice.py")]).replace("%", "%%")
    first, *others = dict.fromkeys(each.user for each in managers) or ("root",)
    lines = []
    for user in others:
        lines += [f'Match originalhost {ALIAS} exec "{choice} is {user}"', f"  User {user}"]
    lines += [f"Host {ALIAS}", f"  ProxyCommand {choice}{' as %r' if others else ''}", "  ProxyUseFdpass yes"]
    lines += [f"  User {first}"]
    for each in managers:
        lines += [f"Host {each.name}", f"  HostName {each.address}", f"  Port {each.port}"]
        lines += [f"  User {each.user}", f"  HostKeyAlias {each.name}"]
        lines.append(f"  HostKeyAlgorithms {','.join(algorithms([each]))}")
    lines += [
        "Host *",
        f"  UserKnownHostsFile {_quoted(folder / 'known_hosts')}",
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking yes",
        f"  HostKeyAlgorithms {','.join(algorithms(managers))}",
        "  BatchMode yes",
        "  ConnectTimeout 30",
        "  ServerAliveInterval 15",
    ]
    if with_key:
        lines += [f"  IdentityFile {_quoted(folder / 'id')}", "  IdentitiesOnly yes"]
    return "\n".join(lines) + "\n"


def algorithms(managers: Sequence[SshManager]) -> list[str]:
    """What `ssh` calls the kinds of their pinned keys, in the order in which they are asked for."""
    kinds = {each.host_key.split()[0] for each in managers}
    if "ssh-rsa" in kinds:
        kinds |= {kind for kind in HOST_KEY_TYPES if kind.startswith("rsa-")}
    return [kind for kind in HOST_KEY_TYPES if kind in kinds] or list(HOST_KEY_TYPES)


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner only from its first moment on."""
    if path.is_file() and path.stat().st_mode & 0o777 == 0o600 and path.read_text(encoding="utf-8") == text:
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
