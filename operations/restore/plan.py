"""What every restore begins with: the private key, the nodes' answers, the plan, the room on their disks.

Owned here: asking for these, and refusing before anything is touched. Left to others: the plan itself
(images/galera, `restore`).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from operations.errors import OperationsError
from operations.messages import say
from operations.nodes import Hosts, asked, command
from operations.outputs import Outputs
from operations.remote_hosts import RemoteHosts

NAME = re.compile(r"(?!-)[^./\\\s\x00-\x1f]{1,64}(\.[^./\\\s\x00-\x1f]{1,64})?")
OVER = ("done", "undone")
IdentityOption = Annotated[
    str,
    typer.Option(
        "--identity",
        help="File with age's private key (its path; - is standard input). Else it is asked for.",
    ),
]


class Wish:
    """What a person wants. Empty: not said."""

    def __init__(self, to: str, timeline: str, node: str) -> None:
        self.to, self.timeline, self.node = to, timeline, node


def private_key(identity: str) -> str:
    """The private key, which is neither kept nor shown. Raises OperationsError."""
    if identity == "-":
        text = sys.stdin.read()
    elif identity:
        try:
            text = Path(identity).expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise OperationsError(f"The private key can't be read: {error}.") from None
    else:
        text = typer.prompt("age's private key (AGE-SECRET-KEY-1…)", hide_input=True, err=True)
    if "AGE-SECRET-KEY-1" not in text:
        raise OperationsError(
            "What was given is no identity of age: it has a line AGE-SECRET-KEY-1… One with a passphrase "
            "must be decrypted first (`age --decrypt FILE`), for instance into `--identity -`."
        )
    # Without comments and empty lines: on a host an empty one ends the key.
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def refuse_names(what: str, into: str) -> None:
    """Raise OperationsError for names that can't be, or that do not fit to each other."""
    for name in filter(None, (what, into)):
        if not NAME.fullmatch(name):
            raise OperationsError(f"{name!r} must be DATABASE or DATABASE.TABLE, without blanks or slashes.")
    if ("." in into) != ("." in what):
        raise OperationsError(
            "--what and --into must both be a database, or both DATABASE.TABLE. Remedy: for one table, "
            "--what app.orders --into app.orders_before; for all of a database, --into app_before."
        )


async def states(hosts: RemoteHosts, found: Outputs) -> dict[str, dict[str, Any]]:
    """What each node says of a restore, by its name. Raises OperationsError if none answers."""
    texts = {name: command(found, "restore", "status") for name in found.members}
    answers = await hosts.run_all(texts)
    said = {}
    for name, answer in answers.items():
        try:
            said[name] = json.loads(answer.text)
        except ValueError:
            say(f"  {name} does not answer: {(answer.error or answer.text).strip()[:200]}")
    if not said:
        raise OperationsError(
            "No node could be asked: their containers do not run, their store is away, or their image is one "
            "of before. `verify` names what is amiss."
        )
    return said


def under_way(said: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """The record of a restore that is not over."""
    record = next(iter(said.values()))["record"]
    return None if record is None or record["phase"] in OVER else dict(record)


def chosen(said: Mapping[str, Mapping[str, Any]], wish: str) -> str:
    """The node that is loaded: by its name, else the one with the most room. Raises OperationsError."""
    if wish and wish not in said:
        raise OperationsError(f"{wish} is no node that answers. One of: {', '.join(said)}.")
    return wish or max(sorted(said), key=lambda name: int(said[name]["free"]))


def short_of_room(said: Mapping[str, Mapping[str, Any]], room: int) -> list[str]:
    """Nodes on whose disk the restored data does not fit beside the present one."""
    return [
        f"{name} has {int(state['free']) / 1e6:.0f} MB free"
        for name, state in said.items()
        if int(state["free"]) < room
    ]


def refuse_scratch_room(name: str, state: Mapping[str, Any], room: int) -> None:
    """Raise OperationsError where a scratch server would fill the disk of a node that serves."""
    if short := short_of_room({name: state}, room):
        raise OperationsError(
            f"A scratch server needs {room / 1e6:.0f} MB on a host, beside the node that serves: {short[0]}. "
            "Nothing was touched. Remedy: another node (--node), or larger disks (servers.disks)."
        )


def warn_of_growth(said: Mapping[str, Mapping[str, Any]], plan: Mapping[str, Any]) -> None:
    """Say where the data may not fit if all that the logs hold is new rows; nobody knows that before."""
    growth = int(plan.get("growth") or 0)
    if short := short_of_room(said, int(plan["room"]) + growth):
        say(
            f"  Room may not do: the logs can bring up to {growth / 1e6:.0f} MB of new rows, and "
            f"{'; '.join(short)}. If it does not, the restore ends with an error, and `restore --undo` goes "
            "back."
        )


def refuse_room(said: Mapping[str, Mapping[str, Any]], room: int) -> None:
    """Raise OperationsError where the restored data does not fit."""
    if short := short_of_room(said, room):
        raise OperationsError(
            f"The restored data needs {room / 1e6:.0f} MB on each node beside what it has, which is kept "
            f"until you are content: {'; '.join(short)}. Nothing was touched. Remedy: larger disks "
            "(servers.disks)."
        )


async def planned(hosts: Hosts, found: Outputs, name: str, wish: Wish, key: str) -> dict[str, Any]:
    """The plan as a node makes it, with its lines shown. Raises OperationsError."""
    words = ["restore", "plan", wish.to, *([wish.timeline] if wish.timeline else [])]
    plan: dict[str, Any] = await asked(hosts, found, name, *words, stdin=key, limit=1800.0)
    for line in plan["lines"]:
        say(f"  {line}")
    return plan
