"""Hosts that are replaced because `servers.replaceServer` names their servers.

Owned here: who is due, and in a preview the first of them. Left to others: the replacement (replacement.py),
what plain Pulumi makes of that setting (components/replaced.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from operations.around_run import care
from operations.messages import say
from operations.replace import replacement
from operations.session import StackSession
from operations.stack_settings import said


def by_setting(session: StackSession, yes: bool, deploys: replacement.Deploys) -> None:
    """Replace what servers.replaceServer names, one after the other."""
    names = _named(session)
    if names:
        replacement.replace_all(session, names, yes, deploys)


def first_by_setting(session: StackSession) -> dict[str, int]:
    """The one that goes first, for a preview, with its server; says who comes after it."""
    wanted, there = _wanted(session), replacement.servers(session.pulumi.export() or {})
    due = [name for name, server in wanted.items() if there.get(name) == server]
    if len(due) > 1:
        say(f"One after the other, each once the one before is back: {', '.join(due)}. Shown is the first.")
    return {name: wanted[name] for name in due[:1]}


def _wanted(session: StackSession) -> dict[str, int]:
    servers = said(session.name, "servers").get("replaceServer")
    if not isinstance(servers, Mapping):
        return {}
    # A wrong value is the program's to refuse.
    return {str(name): int(server) for name, server in servers.items() if str(server).isdigit()}


def _named(session: StackSession) -> list[str]:
    """Hosts whose server is still to go, or was on its way when a run was broken off."""
    wanted = _wanted(session)
    if not wanted:
        return []
    there = replacement.servers(session.pulumi.export() or {})
    due = [name for name, server in wanted.items() if there.get(name) == server]
    seen = care.look(session.pulumi)
    begun = {} if seen is None else replacement.noted(seen)
    return due + [
        name
        for name, server in wanted.items()
        if name not in due
        and (note := begun.get(name)) is not None
        and (note.why, note.server) == ("replaced", str(server))
    ]
