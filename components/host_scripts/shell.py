"""What every script for a host begins with, and the few words the scripts share.

Owns: how a `.sh` file is read and how values get into it; strictness, messages, progress, writing a file only
when it differs (prologue.sh).
Leaves to others: what is done (the other modules here) and how it gets to the host (components).

The scripts run under bash, as root, over one SSH session each. On slow hosts a fork costs more than anything
else, so they prefer bash's own means. Results go to standard output, which ends in the state; messages and
progress go to standard error.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

MARK = "# ---- hosts get what follows ----"
"""The line of a `.sh` file behind which the text for hosts begins."""
_PLACEHOLDER = re.compile(r"(?:# )?@([a-z_]+)@")


def body(name: str, folder: Path = Path(__file__).parent, /, **shell_text: str) -> str:
    """The text of NAME.sh in `folder`, as hosts get it.

    What stands before `MARK` is for shellcheck only: the facts that the text is given, the files whose
    functions it calls. Facts reach a text by `assign` in front of it.

    Args:
        shell_text: what is put in the place of each `@name@` (or `# @name@`, where a line of its own must be
            valid bash), for texts that got their facts so before they were files: on hosts that exist they
            would run again if that changed. It must be quoted already, by `assign` or `words`.

    Raises ValueError for a file without `MARK`, and unless its placeholders are just those of `shell_text`.
    """
    _, mark, text = (folder / f"{name}.sh").read_text(encoding="utf-8").partition(f"\n{MARK}\n")
    if not mark:
        raise ValueError(f"{name}.sh has no line {MARK!r}. Remedy: put it behind what only shellcheck reads")
    found = {match[1] for match in _PLACEHOLDER.finditer(text)}
    if found != shell_text.keys():
        raise ValueError(f"{name}.sh has the placeholders {sorted(found)} and is given {sorted(shell_text)}")
    return _PLACEHOLDER.sub(lambda match: shell_text[match[1]], text.strip())


def words(values: Iterable[object]) -> str:
    """Words of a shell, each quoted where it must be: the one rule for all values."""
    return " ".join(shlex.quote(str(value)) for value in values)


def assign(**values: object) -> str:
    """Shell assignments, quoted; a list or tuple becomes an array."""
    return "\n".join(
        f"{name}=({words(value)})" if isinstance(value, list | tuple) else f"{name}={words([value])}"
        for name, value in values.items()
    )


HERE = "hostname=${HOSTNAME%%.*}"
"""Shell text for a step that runs on any manager, in place of the fact `hostname`: its own name."""
PROLOGUE = body("prologue")


def alone(step: str, folder: str = "/run/swarm-galera") -> str:
    """Shell text that waits until no earlier run of this step goes on: an interrupted `up` may leave one."""
    return f"\n{body('alone', folder=words([folder]), name=words([step]))}\n"


def sudo(command: str) -> str:
    """A command line for a user with sudo and no password; standard input is the command's."""
    return f"sudo -n -H bash -c {shlex.quote(command)}"


def sudo_unless_root(command: str) -> str:
    """The same for whoever logs in, where that is known only on the host."""
    return f'$([ "$(id -u)" = 0 ] || echo sudo -n -H) bash -c {shlex.quote(command)}'


def script(*parts: str) -> str:
    """One script: the prologue, then `parts` in order."""
    return "\n\n".join([PROLOGUE, *(part.strip() for part in parts)]) + "\n"
