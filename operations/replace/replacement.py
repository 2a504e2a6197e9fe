"""A host that is replaced: drained, left, cancelled, ordered anew, prepared, joined, synced.

Owns: when that is refused, the order of its parts, and at which part a call goes on that follows one which
was broken off. Leaves to others: the command (command.py), who is named in the settings (by_setting.py),
the run of Pulumi (stack.py), the order in the account (components/replaced.py), leaving
(components/host_scripts/swarm_leaving.py).

Where it is, is seen, not remembered. The outputs of the last complete run say which server the host had, the
node's note in the store which one is to go, and the state which one there is. As long as all are the same,
that one must go; once they are not, another one comes, or has come, and there is nothing to do but to bring
it in and to end the maintenance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components import consul, etcd, galera
from components.host_scripts.shell import assign, body
from components.host_scripts.swarm_leaving import Membership, functions
from operations import backup_end, node_program, notes, well
from operations.around_run import care, left_out
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.messages import say
from operations.node_program import telling
from operations.notes import Note
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS, connected
from operations.session import StackSession

GUEST = ":VirtualGuest"
"""End of the type of a server in the state."""
LEAVES_WITHIN = 900.0
"""Seconds for a host to leave; its script gives up before."""
WELL_WITHIN = 600.0
"""Seconds after a run within which the host, and then all others, are well."""

Part = Literal["take away", "bring in", "finish"]
Deploys = Callable[[StackSession, bool, Mapping[str, int]], None]
"""`stack.deployed`."""


@dataclass(frozen=True)
class Replaced:
    """A host to be replaced.

    Attributes:
        server: the id of its server in the state; 0 where there is none, because it has gone.
        note: on its node, if it is in maintenance.
        adopted: the server was taken over as it was, and is not the stack's to cancel.
    """

    name: str
    server: int
    note: Note | None = None
    adopted: bool = False

    @property
    def under_way(self) -> bool:
        """Whether an earlier call has begun."""
        return self.note is not None and self.note.why == "replaced"


def part(seen: Seen, host: Replaced) -> Part:
    """What is to be done next."""
    shown = {each.name: each.id for each in seen.outputs.hosts}.get(host.name, "")
    if shown and shown != str(host.server):
        return "bring in"  # the run that replaced it has not come to its end
    if host.under_way and host.note is not None and host.note.server != str(host.server):
        return "bring in" if not host.server or host.name in seen.unwell else "finish"
    return "take away"


def unfit(seen: Seen, host: Replaced, ordered: Mapping[str, int]) -> str:
    """Why a host is never replaced, however the others are; empty if it may be. What has begun goes on.

    Args:
        ordered: ids of servers in the state, by host name.
    """
    found = seen.outputs
    known = {each.name: each for each in found.hosts}
    if host.name not in known:
        return f"{host.name} is no host of this stack ({', '.join(known)})"
    if known[host.name].own:
        return (
            f"{host.name} is a host of your own, which nobody can order anew. Install it anew, and give its "
            "new hostKey (docs/how-to/own-hosts.md)"
        )
    if part(seen, host) != "take away":
        return ""
    if host.name not in ordered:
        return f"the state has no server for {host.name}: `up` orders it"
    if host.name in found.kept_on:
        return f"{host.name} keeps data of a cluster that does not run, and its copy would go: `resume` first"
    if host.adopted:
        return (
            f"its server {host.server} was there before this stack, which cancels none that it has not "
            "ordered. Cancel it yourself and take it out of servers.adopt; `up` then orders another one"
        )
    if len(found.managers) == 1 and known[host.name].role == "manager":
        return f"{host.name} is the only manager: the swarm, and the database, would go with it"
    return ""


def refusal(seen: Seen, host: Replaced, ordered: Mapping[str, int]) -> str:
    """Why a host is not replaced now; empty if it may be. What has begun goes on. Args: as of `unfit`."""
    if why := unfit(seen, host, ordered):
        return why
    if part(seen, host) != "take away":
        return ""
    if others := [name for name in coming(seen) if name != host.name]:
        return (
            f"{' and '.join(others)} is being replaced. End that first: "
            f"`python -m operations replace {' '.join(others)}`"
        )
    return well.refusal(seen, host.name, "leaves", waits=True)


def in_the_way(seen: Seen, hosts: Sequence[Replaced], ordered: Mapping[str, int]) -> str:
    """What keeps these from being replaced in this order; empty for nothing.

    Behind one that has begun, or is ill itself, the others are as they will be only once it is through: they
    are asked again in their turn.
    """
    settled = True
    for host in hosts:
        if why := (refusal if settled else unfit)(seen, host, ordered):
            return f"{host.name} is not replaced: {why}"
        settled = settled and host.name not in seen.unwell and not host.under_way
        settled = settled and part(seen, host) == "take away"
    return ""


def plan(seen: Seen, hosts: Sequence[Replaced]) -> list[Replaced]:
    """In which order: what has begun first, then who is ill, then those that bear no data, the writer last.

    The writes then move once; and whoever takes them over is not replaced after that.
    """
    takes_writes = well.writer(seen)
    return sorted(
        hosts,
        key=lambda host: (
            not host.under_way,
            host.name not in seen.unwell,
            host.name in seen.outputs.members,
            host.name == takes_writes,
        ),
    )


def servers(exported: Mapping[str, Any]) -> dict[str, int]:
    """Ids of the ordered servers that the state has, by host name."""
    resources = (exported.get("deployment") or {}).get("resources") or ()
    return {
        str((each.get("inputs") or {}).get("hostname")): int(each["id"])
        for each in resources
        if str(each.get("type")).endswith(GUEST) and each.get("id") and not each.get("delete")
    }


def adopted(exported: Mapping[str, Any]) -> set[str]:
    """Hosts whose server was there before the stack."""
    resources = (exported.get("deployment") or {}).get("resources") or ()
    return {
        str((each.get("inputs") or {}).get("hostname"))
        for each in resources
        if str(each.get("type")).endswith(GUEST) and (each.get("outputs") or {}).get("adopted")
    }


def memberships(found: Outputs) -> list[Membership]:
    """What keeps lists of hosts, of what runs."""
    if not found.has("data"):
        return []
    return [consul.MEMBERSHIP if found.store == "consul" else etcd.MEMBERSHIP, galera.MEMBERSHIP]


def leaving(found: Outputs, host: str) -> str:
    """Shell text for another manager: the host gives up its votes, ends in order, and leaves the swarm."""
    return "\n".join(
        [functions(memberships(found)), assign(hostname=host), body("replacement_leave", SCRIPTS)]
    )


def noted(seen: Seen) -> dict[str, Note]:
    """The note on each node that is in maintenance, by its name."""
    return {name: notes.read(text) for name, text in well.maintained(seen).items()}


def of(seen: Seen, name: str, exported: Mapping[str, Any]) -> Replaced:
    """A host as it is now. Args: exported: the state."""
    return Replaced(name, servers(exported).get(name, 0), noted(seen).get(name), name in adopted(exported))


# -- doing it ------------------------------------------------------------------------------------------------


def replace_all(
    session: StackSession, names: Sequence[str], yes: bool, deploys: Deploys, interrupt: bool = False
) -> None:
    """Replace these hosts, one after the other. Raises OperationsError for what is in the way.

    Args:
        interrupt: do not wait for the end of a backup (backup_end.py).
    """
    seen = _look(session)
    exported = session.pulumi.export() or {}
    ordered = servers(exported)
    hosts = plan(seen, [of(seen, name, exported) for name in dict.fromkeys(names)])
    # All that can be known before is said before anything is touched.
    if why := in_the_way(seen, hosts, ordered):
        raise OperationsError(f"{why}. Nothing was changed.")
    for host in hosts:
        replace_one(session, host.name, yes, deploys, interrupt)


def replace_one(
    session: StackSession, name: str, yes: bool, deploys: Deploys, interrupt: bool = False
) -> None:
    """Replace one host, or go on with it. Args: as of `replace_all`."""
    seen = _look(session)
    exported = session.pulumi.export() or {}
    host = of(seen, name, exported)
    _require(seen, host, exported)
    todo = part(seen, host)
    if todo == "take away":
        say(f"{name}: its server {host.server} goes, with all its disks, and another one is ordered.")
        if told := backup_end.notice(seen, [name], interrupt):
            say(told)
        _foreseen(session, seen, host, yes)
        seen = asyncio.run(backup_end.awaited(seen, name, interrupt=interrupt, begun=host.under_way))
        _require(seen, host, exported)
        asyncio.run(_taken_away(seen, host))
        deploys(session, True, {name: host.server})
    elif todo == "bring in":
        say(f"{name} is being replaced, and its former server has gone: going on.")
        deploys(session, yes, {name: _former(seen, host)})
    asyncio.run(_finished(_look(session), name))
    say(f"{name} has been replaced.")


def _require(seen: Seen, host: Replaced, exported: Mapping[str, Any]) -> None:
    """Raise OperationsError if the host may not be replaced now. Args: exported: the state."""
    if why := refusal(seen, host, servers(exported)):
        raise OperationsError(f"{host.name} is not replaced: {why}. Nothing of it was changed.")


def _foreseen(session: StackSession, seen: Seen, host: Replaced, yes: bool) -> None:
    """Show the plan, and ask unless `yes`; ends the program for a plan that Pulumi refuses.

    It is made with `yes`, too: what the program refuses (a price, a setting) must be known before the host
    leaves, not once it has left.
    """
    gone = left_out.refreshed(left_out.cancelled(session.pulumi, seen, [host.name]))
    told = session.replacing({host.name: host.server}).informed(seen)
    if yes:
        told.run("preview", *gone)
    told.confirm(yes, f"Replace {host.name}?", "preview", *gone)


def _former(seen: Seen, host: Replaced) -> int:
    """The id of the server that has gone; whoever is not there is replaced by nobody."""
    told = host.note.server if host.under_way and host.note else ""
    told = told or next((each.id for each in seen.outputs.hosts if each.name == host.name), "")
    return int(told) if told.isdigit() and int(told) != host.server else 0


def coming(seen: Seen | None) -> list[str]:
    """Hosts that are being replaced, as their notes say: they may answer at other addresses by now."""
    return [] if seen is None else [name for name, note in noted(seen).items() if note.why == "replaced"]


def _look(session: StackSession) -> Seen:
    seen = care.look(session.pulumi)
    if seen is None:
        raise OperationsError(f"Stack {session.name} has no hosts that could be looked at: run `up` first.")
    return seen


async def _taken_away(seen: Seen, host: Replaced) -> None:
    """Everything that is done to a host before its server is cancelled."""
    found, name = seen.outputs, host.name
    others = [each.name for each in found.managers if each.name != name]
    async with connected(found) as hosts:
        if _has_note(seen, name):
            note = Note("replaced", notes.somebody(), notes.now(), str(host.server))
            await node_program.take_out(hosts, seen, name, note)
            say(f"{name}: load balancers send nobody there, and its node takes no writes.")
        if not found.has("swarm"):
            return
        by = next((each for each in others if each in hosts.reachable), None)
        if by is None:
            raise OperationsError(f"No other manager answers that could let {name} go.")
        run = hosts.run(by, leaving(found, name), limit=LEAVES_WITHIN)
        answer = await telling(f"{name} is leaving", run)
        if answer.error:
            raise OperationsError(
                f"{name} could not leave: {answer.error}. Its server was not touched; repeat the command"
            )
        say(f"{name} has left the swarm{', the store and the database' if name in found.members else ''}.")


def _has_note(seen: Seen, name: str) -> bool:
    """Whether the store knows that a host is being replaced."""
    return seen.outputs.has("data") and name in seen.outputs.members


def _then(seen: Seen, name: str) -> str:
    """What is to be done once all is well."""
    if _has_note(seen, name):
        return f"load balancers send nobody to {name} yet, and the same command goes on"
    return "this command has nothing left to do, and a further one would replace the new server, too"


async def _finished(seen: Seen, name: str) -> None:
    """Wait until the host and all others are well, and let clients back."""
    now = seen

    async def problem() -> str:
        nonlocal now
        now = await care.look_at(seen.outputs)
        return "; ".join(f"{each}: {why}" for each, why in now.unwell.items())

    if why := await node_program.wait_for(
        f"waiting until {name} and the others are well", problem, WELL_WITHIN
    ):
        raise OperationsError(
            f"{name} has another server, and not all is well after {WELL_WITHIN:.0f} s: {why}. Remedy: "
            f"`verify` names what is amiss; {_then(seen, name)}"
        )
    if _has_note(seen, name) and (name in well.maintained(now) or not well.told(now)):
        async with connected(seen.outputs) as hosts:
            await node_program.bring_back(hosts, now, name)
