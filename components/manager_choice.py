"""Which manager a connection goes to: the first that answers as one. A program of its own, run by `ssh`.

Owns: asking the managers, remembering who was chosen, handing the open connection to `ssh`.
Leaves to others: the files that it reads (ssh_files.py), keys and host keys (`ssh` itself).

The program copies this file beside a stack's SSH files, and `ssh` runs it as ProxyCommand: `refresh` and
`destroy` do not run the program, and neither checkout nor packages need be there then. So it uses nothing
but Python's own library. `managers.json` beside it lists the managers in order; `chosen` names the last one.

A host that answers SSH is not enough: one that was just ordered is in no swarm yet, the engine of another may
be ill. So each is asked by way of SSH, with its host key checked, what it is in the swarm.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LEADS, MANAGES, OUTSIDE, NO_ENGINE, NO_MANAGER, LOCKED, SILENT = range(7)
"""What a host is, the best first: a manager of a swarm that has a leader; of one that has none now; in no
swarm; its engine does not answer; in a swarm, and no manager of it; a manager that waits for the unlock key;
it lets nobody in."""
WORDS = (
    "",
    "its swarm has no leader",
    "in no swarm",
    "no engine",
    "no manager of its swarm",
    "locked (python -m operations unlock)",
    "no SSH",
)
PROBE = (
    "if ! systemctl -q is-active docker.service 2>/dev/null "
    "&& systemctl -q is-active docker.socket 2>/dev/null; then :; "
    "elif timeout 10 docker node ls -q >/dev/null 2>&1; then echo leads; "
    "else timeout 10 docker info --format "
    "'{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}' 2>/dev/null; fi"
)
"""What each is asked, without a word where only the question would start the engine, through its socket: one
that somebody has stopped stays so. Without systemd there is no such socket."""
FRESH = 60.0
"""Seconds for which a choice is taken again unasked, if the host can still be reached."""
LOCKS = "locks"
"""A file that is there where the swarm has autolock: each connection asks then. An engine that has restarted
is locked until somebody unlocks it, and its host can be reached all the while.
"""
REMEMBERED = 600.0
"""Seconds for which the last choice is asked before the others, so that nobody dead is waited for each time.
Later the first in the list is, which is the last one to leave the swarm."""
CONNECTED = 8
"""Seconds for a host to take a connection."""
REACHED = 20
"""Seconds for its SSH to begin to talk; one that unpacks images is slow."""
SEEN = 5.0
"""Seconds for which a host that was reached counts as one that can be."""
ALONE = 6.0
"""Seconds for the first to be asked to say what it is, before all are asked."""
ANSWERED = 45.0
"""Seconds for all to say what they are."""
PATIENCE = 120.0
"""Seconds until the best of those who answer is taken, though none is in a swarm that decides: an engine may
be starting, a leader may be being elected."""
GIVEN_UP = 90.0
"""Seconds until nobody is waited for any longer, when nobody answers at all."""
CHOSEN = "chosen"
"""The file with the last choice."""
UNLOCKED = 30.0
"""Seconds for somebody to unlock managers, when all that answer are locked: it does not end by itself."""
Say = Callable[[str], object]


class NobodyAnswers(Exception):
    """No manager lets us in, or can be asked; the text is for the user."""


@dataclass(frozen=True)
class Manager:
    """One manager: its host name, which is its name in the SSH configuration, too, where its SSH is, and who
    logs in.
    """

    name: str
    address: str
    port: int = 22
    user: str = "root"


def rank(said: str) -> int:
    """What a host is, by its answer to `PROBE`."""
    words = said.split()
    if words[:1] == ["leads"]:
        return LEADS
    if len(words) != 2:
        return NO_ENGINE
    if words[0] in ("inactive", "locked"):
        return OUTSIDE if words[0] == "inactive" else LOCKED
    return MANAGES if words == ["active", "true"] else NO_MANAGER


def settled(ranks: Mapping[str, int], first: str) -> bool:
    """Whether to go on with the best of them at once.

    One in no swarm is right only where there is none: not while another may be in one and cannot say so. A
    swarm begins on the first one only, whose engine may be slow to say that it is in none.
    """
    best = min(ranks.values())
    others = {MANAGES, NO_MANAGER, LOCKED, SILENT} & set(ranks.values())
    return best == LEADS or (ranks[first] == best == OUTSIDE and not others)


def choose(
    managers: Sequence[Manager],
    last: str,
    ask: Callable[[Iterable[str], float], Mapping[str, int]],
    say: Say = lambda _text: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> str:
    """The manager to go to. Of two that are as good, the one that was chosen last, else the first; where
    there is no swarm, the first: there one may begin.

    Args:
        last: whom the last connection went to; empty for none.
        ask: what some of them are, within so many seconds; may leave out whoever does not answer in time, or
            not before one that leads.

    Raises NobodyAnswers.
    """
    listed = [each.name for each in managers]
    order = sorted(listed, key=lambda name: name != last)
    begun = told = clock()
    while True:
        # The last one is mostly still the right one: then nobody else is disturbed.
        ranks = ask(order[:1], ALONE)
        if ranks.get(order[0]) != LEADS:
            ranks = ask(order, ANSWERED)
        ranks = {name: ranks.get(name, SILENT) for name in order}
        best = min(order, key=lambda name: ranks[name])
        if ranks[best] == OUTSIDE:
            best = next(name for name in listed if ranks[name] == OUTSIDE)
        if settled(ranks, listed[0]):
            return best
        waited = clock() - begun
        refuse_locked(ranks, best, waited)
        if ranks[best] == SILENT and waited >= GIVEN_UP:
            raise NobodyAnswers(
                f"no manager of the swarm answers ({', '.join(order)}). Remedy: bring one of them back "
                "(`python -m operations verify` says what is amiss), then repeat"
            )
        # Only hosts outside of any swarm and silent ones: whoever is off could not vote either.
        alone = ranks[best] == OUTSIDE and set(ranks.values()) <= {OUTSIDE, NO_ENGINE, SILENT}
        if waited >= (GIVEN_UP if alone else PATIENCE):
            return best
        if clock() - told >= 10:
            told = clock()
            say("waiting for a manager: " + ", ".join(f"{name} {WORDS[ranks[name]]}" for name in order))
        pause(2.0)


def refuse_locked(ranks: Mapping[str, int], best: str, waited: float) -> None:
    """Raises NobodyAnswers where managers are locked, and none has a leader.

    Nor is one in no swarm taken then: the swarm is there, though nobody listens on its port.
    """
    locked = [name for name, rank in ranks.items() if rank == LOCKED]
    if locked and waited >= (UNLOCKED if ranks[best] == LOCKED else PATIENCE):
        raise NobodyAnswers(
            f"the swarm can't be asked: {', '.join(locked)} {'is' if len(locked) == 1 else 'are'} locked "
            "(swarm.autolock), and there is no leader without. Remedy: `python -m operations unlock`, then "
            "repeat"
        )


def asked(config: Path, names: Iterable[str], limit: float) -> dict[str, int]:
    """Ask these hosts, by their names in the SSH configuration; ends with the first one that leads, or after
    `limit` seconds.
    """
    probes = {
        name: subprocess.Popen(
            ["ssh", "-F", str(config), "-o", f"ConnectTimeout={REACHED}", name, PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for name in names
    }
    found: dict[str, int] = {}
    deadline = time.monotonic() + limit
    try:
        while len(found) < len(probes) and LEADS not in found.values() and time.monotonic() < deadline:
            for name, probe in probes.items():
                if name not in found and probe.poll() is not None:
                    assert probe.stdout is not None
                    # 255 is ssh's own: no connection, no login, or another host key.
                    said = probe.stdout.read().decode(errors="replace")
                    found[name] = SILENT if probe.returncode == 255 else rank(said)
            time.sleep(0.05)
    finally:
        for probe in probes.values():
            probe.kill()
            probe.communicate()
    return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One asks at a time; whoever waits here takes the answer of the one before."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def noted(folder: Path) -> tuple[str, float]:
    """Who was chosen last, and how many seconds ago; empty if nobody was."""
    note = folder / CHOSEN
    try:
        return note.read_text(encoding="utf-8").strip(), _age(note)
    except OSError:
        return "", float("inf")


def listed(folder: Path) -> dict[str, Manager]:
    """The managers by name, in order."""
    found = json.loads((folder / "managers.json").read_text(encoding="utf-8"))
    return {each["name"]: Manager(**each) for each in found}


def unasked(folder: Path) -> float:
    """Seconds for which a choice is taken unasked."""
    return 0.0 if (folder / LOCKS).exists() else FRESH


def connection(folder: Path, say: Say, user: str = "") -> socket.socket:
    """An open connection to the manager of the hour. Raises NobodyAnswers, OSError.

    Args:
        user: who logs in, where that is not the same on all of them.
    """
    managers = listed(folder)
    name, age = noted(folder)
    if name in managers and age < unasked(folder) and user in ("", managers[name].user):
        with contextlib.suppress(OSError):
            return _reached(managers[name], folder)
    name = chosen(folder, managers, say)
    if user not in ("", managers[name].user):
        raise NobodyAnswers(
            f"the manager that was chosen went away just now, and {user} does not log in to the next one, "
            f"{name}. Remedy: repeat"
        )
    return _reached(managers[name], folder)


def user_of(folder: Path, say: Say) -> str:
    """Who logs in to the manager of the hour. Raises NobodyAnswers, OSError.

    A choice that is taken unasked must be one that can be reached, or `connection` would take another one. It
    is not looked at again within `SEEN` seconds: a server holds many connections without a login against us.
    """
    managers = listed(folder)
    name, age = noted(folder)
    if name in managers and age < unasked(folder):
        if _age(folder / "reached") < SEEN:
            return managers[name].user
        with contextlib.suppress(OSError), _reached(managers[name], folder):
            return managers[name].user
    return managers[chosen(folder, managers, say)].user


def chosen(folder: Path, managers: Mapping[str, Manager], say: Say) -> str:
    """Ask who is a manager now, and note it. Raises NobodyAnswers."""
    begun = time.time()
    with _alone(folder):
        name, age = noted(folder)
        if name not in managers or time.time() - age < begun:
            name = choose(
                list(managers.values()),
                name if name in managers and age < REMEMBERED else "",
                lambda names, limit: asked(folder / "config", names, limit),
                say,
            )
            new = folder / f".chosen.{os.getpid()}"
            new.write_text(name, encoding="utf-8")
            new.replace(folder / CHOSEN)
    return name


def _reached(manager: Manager, folder: Path) -> socket.socket:
    reached = socket.create_connection((manager.address, manager.port), timeout=CONNECTED)
    reached.settimeout(None)
    (folder / "reached").touch()
    return reached


def _age(note: Path) -> float:
    """Seconds since it was written."""
    try:
        return time.time() - note.stat().st_mtime
    except OSError:
        return float("inf")


def main(words: Sequence[str]) -> int:
    """As ProxyCommand with ProxyUseFdpass: the connection goes to `ssh` over standard output.

    With `as USER`, only to a manager that this user logs in to; with `is USER`, in place of a connection the
    exit code 0 if the manager of the hour is one of these.
    """
    folder = Path(__file__).resolve().parent
    what, user = words if len(words) == 2 else ("", "")

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    try:
        if what and _age(folder / "nobody") < SEEN:
            say("error: no manager of the swarm answered a moment ago")
            return 1
        if what == "is":
            return 0 if user_of(folder, say) == user else 1
        reached = connection(folder, say, user)
    except NobodyAnswers as error:
        say(f"error: {error}")
        if what == "is":
            # The connection that asks so would wait for each user, and then once more.
            (folder / "nobody").touch()
        return 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(f"error: no way to a manager of the swarm: {error}. Remedy: run `python -m operations ssh-files`")
        return 1
    with reached, socket.socket(fileno=os.dup(1)) as to_ssh:
        socket.send_fds(to_ssh, [b"\0"], [reached.fileno()])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
