"""`pause` and `resume`: the database stops in order and keeps its data, and comes back, each in one word.

Owned here: the commands, and which settings they change. Left to others: what that does
(docs/how-to/operations.md, "How far a stack is deployed"; components/layers.py).

The word is written into the stack's file, where the next run finds it: a stack is not paused by something
that only one machine knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from operations import outputs
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.messages import say
from operations.options import StackOption, YesOption
from operations.outputs import Outputs
from operations.pulumi_cli import read_yaml, stack_file
from operations.session import StackSession, opened, require_terminal_or_yes
from operations.stack import deployed

PREFIX = "swarm-galera:"
UP_TO, DOWN, KEEP = "deployUpTo", "takeDown", "keepData"
WORDS = (UP_TO, DOWN)
"""Settings that `pause` writes and `resume` removes."""
PAUSED = "swarm"
"""The layer that a paused stack has."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(pause)
    app.command()(resume)


def pause(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Stop application, database and store in order; hosts, swarm and all data stay. `resume` ends it.

    Writes deployUpTo and takeDown into the stack's file, and runs `up`.
    """
    require_terminal_or_yes(yes)
    with opened(stack) as session:
        found = outputs.read(session.pulumi)
        if why := why_not_paused(found, said(stack)):
            raise OperationsError(f"Stack {stack} is not paused: {why}.")
        if why := why_not_back(session.looked()):
            raise OperationsError(f"Stack {stack} is not paused: {why}.")
        _changed(session, yes, {UP_TO: PAUSED, DOWN: goes(found)})
        say(
            f"Stack {stack} is paused; its data is in the hosts' volumes. `python -m operations resume` ends "
            "it."
        )


def resume(stack: StackOption = "dev", yes: YesOption = False) -> None:
    """Have a paused stack's store, database and application back, with all data; undoes `pause`."""
    require_terminal_or_yes(yes)
    with opened(stack) as session:
        if why := why_not_resumed(said(stack)):
            raise OperationsError(f"Stack {stack} is not resumed: {why}.")
        _changed(session, yes, dict.fromkeys(WORDS))
        say(f"Stack {stack} is back.")


def said(stack: str) -> dict[str, Any]:
    """What the stack's file says of its layers."""
    config = read_yaml(stack_file(stack)).get("config") or {}
    return {key: config[f"{PREFIX}{key}"] for key in (UP_TO, DOWN, KEEP) if f"{PREFIX}{key}" in config}


def goes(found: Outputs) -> list[str]:
    """The layers that are taken down."""
    return ["data", *(["application"] if found.application is not None else [])]


def why_not_paused(found: Outputs, settings: Mapping[str, Any]) -> str:
    """Why not; empty if it may be.

    Args:
        settings: of the stack's file (`said`).
    """
    if settings.get(UP_TO) == PAUSED:
        return ""  # one that was broken off goes on
    if UP_TO in settings:
        return (
            f"its file says {UP_TO}: {settings[UP_TO]}, which `resume` could not restore. Remedy: set "
            f"{UP_TO} and takeDown by hand (docs/how-to/operations.md)"
        )
    if str(settings.get(KEEP, True)).lower() == "false":
        return f"its file says {KEEP}: false, with which the rows of every node would go. Remedy: remove that"
    if not found.has("data"):
        return f"it is deployed up to the layer {found.layer}, and nothing runs that could stop"
    return ""


def why_not_back(seen: Seen | None) -> str:
    """Why `resume` could not have all back; empty if it could."""
    if seen is None or not seen.outputs.has("data"):
        return ""
    paused = {name for facts in seen.facts.values() for name in facts.paused} & {*seen.outputs.members}
    if not paused:
        return ""
    return (
        f"the swarm starts nothing on {' and '.join(sorted(paused))}, as on the last host of a change that "
        "was broken off, and the store would wait there for its member. Remedy: `up` first; `verify` names "
        "the host, and how it is let go by hand"
    )


def why_not_resumed(settings: Mapping[str, Any]) -> str:
    """Why not; empty if it may be."""
    if settings.get(UP_TO) == PAUSED:
        return ""
    if UP_TO not in settings and DOWN not in settings:
        return "its file says nothing of a pause. If it was broken off: `python -m operations up`"
    return (
        f"its file says {UP_TO}: {settings.get(UP_TO, 'nothing')}, which is not what `pause` writes. Remedy: "
        f"change {UP_TO} and {DOWN} by hand, then `up`"
    )


def _changed(session: StackSession, yes: bool, settings: Mapping[str, Any]) -> None:
    """Write settings (None: remove), show what that does, ask, and do it; a no leaves the file as it was."""
    file = stack_file(session.name)
    before = file.read_text(encoding="utf-8")
    try:
        for key, value in settings.items():
            session.pulumi.remove_setting(f"{PREFIX}{key}")
            for number, each in enumerate(value if isinstance(value, list) else []):
                session.pulumi.write_setting(f"{PREFIX}{key}[{number}]", each)
            if isinstance(value, str):
                session.pulumi.write_setting(f"{PREFIX}{key}", value)
        session.confirm(yes, "Do it?", "preview")
    except BaseException:  # Ctrl-C at the question is a no as well
        file.write_text(before, encoding="utf-8")
        raise
    deployed(session, True)
