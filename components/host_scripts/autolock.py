"""Autolock of the swarm: on, off, its unlock key, and unlocking a manager.

Owns: these scripts. Leaves to others: when they run (components/autolock.py, operations/unlock/locked.py), an
engine's start (engine.py).

With autolock, a manager's keys on its disk are themselves encrypted, by a key that is on no disk: the unlock
key. A manager whose engine has started is `locked` until it is given that key; it runs no containers
meanwhile. Workers are never locked.

The key goes through pipes of the shell's own only: it is in no list of processes and in no file.
"""

from __future__ import annotations

from components.host_scripts.shell import assign, body

UNLOCKS_WITHIN = 60
"""Seconds that the engine's answer to a key is waited for. One that fits is answered only once the swarm has
a leader; the engine goes on with it after that time, too."""
STATE = "docker info --format '{{.Swarm.LocalNodeState}}'"
"""Shell command that prints what the host is in the swarm: inactive, pending, active, error, locked."""
TELL_KEY = "timeout 20 docker swarm unlock-key -q"
"""Shell command by which a manager that is not locked prints the key."""
TAKE_KEY = f"timeout {UNLOCKS_WITHIN} docker swarm unlock"
"""Shell command by which a locked one takes it from standard input."""
REMEDY = "Remedy: python -m operations unlock, then repeat"


def on() -> str:
    """Shell text for any manager: from now on, managers whose engine starts are locked."""
    return _ON


_TURNED = body("autolock_turned")
_ON = f"{_TURNED}\n{body('autolock_on')}"


def off() -> str:
    """Shell text for any manager: the contrary. Does nothing where there is no swarm."""
    return _OFF


_OFF = f"{_TURNED}\n{body('autolock_off')}"


def key(*, rotate: bool) -> str:
    """Shell text for any manager. Standard output is JSON: `key`, and `replaced`, the one before if this has
    rotated it, else empty. Keep it secret.
    """
    return f"{assign(rotate='yes' if rotate else '')}\n{_KEY}"


_KEY = body("autolock_key")


def unlock(hostname: str) -> str:
    """Shell text for a manager: have it unlocked by one of the keys on standard input, one a line.

    Prints what it is in the swarm then. Does nothing to one that is not locked.
    """
    return f"{functions(hostname)}\n{_HOST}"


_UNLOCK = body("unlock_functions")

_HOST = body("unlock_host")


def start_unlocked(hostname: str, *, required: bool) -> str:
    """Shell text after that of `engine.START`: every start of the engine ends with the manager unlocked.

    The key is asked of the engine before it ends. Where that can't be done, it is looked for on standard
    input: what is left there, one key a line.

    Args:
        required: fail where no key fits. Else that is only said, because the next step has one.
    """
    return f"{functions(hostname)}\n{assign(required='yes' if required else '')}\n{_START}"


_START = body("unlock_start")


def functions(hostname: str) -> str:
    """Shell functions that the scripts here and others share: `known_state`, `read_keys`, `unlock`."""
    facts = assign(hostname=hostname, unlocks_within=UNLOCKS_WITHIN, unlock_remedy=REMEDY)
    return f"{facts}\n{_UNLOCK}"
