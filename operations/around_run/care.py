"""What `up`, `preview` and `refresh` know of the hosts before Pulumi begins: who answers, who is ill or well.

Owned here: looking, saying who does not answer, the restart of engines that are in error. Left to others:
what is left out then (left_out.py), what is asked of a host (facts/cluster.py), the restart itself
(components/host_scripts/engine.py), when this is done (stack.py), who stops answering meanwhile
(run_watch.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from components import votes
from components.host_scripts.disk import MOUNT_POINT
from components.host_scripts.engine import settle
from components.host_scripts.shell import assign, body
from components.layers import AWAY, LOOK_AGAIN
from components.turns import NOT_WELL
from operations import notes, outputs, outputs_of_state, remote_hosts
from operations.checks import disk_space
from operations.errors import OperationsError
from operations.facts import cluster as cluster_facts
from operations.facts import host_looks
from operations.facts.cluster import HostFacts
from operations.messages import say
from operations.outputs import Outputs
from operations.pulumi_cli import Pulumi
from operations.remote_hosts import RemoteHosts
from operations.stack_settings import StackSettings
from settings.errors import UserError
from settings.servers import names_of

PATIENCE = 90.0
"""Seconds for a host that answers to say how it is; one that takes longer is not well."""
HEALING = 1200.0
"""Seconds for a host to be back after the restart of its engine; its own script gives up before."""
NETWORKS = f"{MOUNT_POINT}/network/files/local-kv.db"
"""What an engine keeps of networks, and of the containers' ports."""


@dataclass(frozen=True)
class Seen:
    """A stack's hosts as they are now.

    Attributes:
        outputs: of the stack.
        facts: by host name.
        away: why a host does not answer, by its name.
    """

    outputs: Outputs
    facts: Mapping[str, HostFacts]
    away: Mapping[str, str]

    @property
    def unwell(self) -> dict[str, str]:
        """What is amiss with a host, by its name; hosts that are well are not there."""
        return dict(_unwell(self))

    @property
    def ill(self) -> list[str]:
        """Hosts whose engine needs a restart: in error, failed, or lists as running what has ended."""
        # A host that was taken out of its swarm, and has not left it yet, is in error, too.
        in_swarm = self.outputs.has("swarm")
        return [
            name
            for name, facts in self.facts.items()
            if (in_swarm and facts.swarm == "error") or facts.ghosts or facts.engine == "failed"
        ]


def _silent(seen: Seen, name: str) -> str:
    """Why a host has no part in the swarm now; empty if it has, or there is none."""
    facts = seen.facts.get(name, HostFacts())
    if name in seen.away:
        return "does not answer"
    if facts.error:
        return facts.error
    if facts.engine == "failed":
        return "its engine has failed and was given up by systemd"
    if seen.outputs.has("swarm") and facts.swarm != "active":
        return f"its engine is not active in the swarm ({facts.swarm or 'no answer'})"
    return ""


def _unwell(seen: Seen) -> Iterator[tuple[str, str]]:
    with_data = seen.outputs.has("data")
    for host in seen.outputs.hosts:
        facts = seen.facts.get(host.name, HostFacts())
        if why := _silent(seen, host.name):
            yield host.name, why
        elif facts.ghosts:
            yield host.name, f"its engine lists as running what has ended: {', '.join(facts.ghosts)}"
        elif with_data and host.role == "manager" and not facts.store_healthy:
            yield host.name, f"{seen.outputs.store} is not healthy there"
        elif host.name in seen.outputs.members and (why := _not_serving(facts)):
            yield host.name, why


def _not_serving(facts: HostFacts) -> str:
    """Why the database of a host does not serve; empty if it does, also as a donor."""
    state = facts.galera.get("wsrep_local_state_comment", "not running")
    status = facts.galera.get("wsrep_cluster_status", "no answer")
    if (state, status) in (("Synced", "Primary"), ("Donor/Desynced", "Primary")):
        return ""
    return f"its database is {state}, {status}"


def look(pulumi: Pulumi) -> Seen | None:
    """The hosts of a stack; None for one that has none yet, or never came to its end.

    Who does not answer is said at once; that takes `remote_hosts.CONNECT_TIMEOUT` seconds for all together.
    """
    try:
        try:
            found: Outputs | None = outputs.read(pulumi)
        except OperationsError:  # there is none yet, or its last run failed
            found = _by_state(pulumi)
        return None if found is None else asyncio.run(look_at(found))
    except UserError:  # above all a private key that can't be read here
        return None


def looked(pulumi: Pulumi) -> Seen | None:
    """The same; also says whose engine needs a restart."""
    seen = look(pulumi)
    if seen is not None:
        tell(seen)
    return seen


def _by_state(pulumi: Pulumi) -> Outputs | None:
    exported = pulumi.export(show_secrets=True)
    if exported is None:
        return None
    settings = StackSettings.of(pulumi)
    managers = names_of(settings.section("swarm-galera:servers"))[0]
    key_file = settings.section("swarm-galera:ssh").get("privateKeyFile")
    return outputs_of_state.from_state(exported, managers, key_file)


async def look_at(found: Outputs) -> Seen:
    """The hosts of a stack whose outputs are known; says who does not answer."""
    async with remote_hosts.connected(found) as hosts:
        for name, why in hosts.unreachable.items():
            say(f"{name} does not answer: {why}.")
        return Seen(found, await _facts(found, hosts), dict(hosts.unreachable))


async def _facts(found: Outputs, hosts: RemoteHosts) -> dict[str, HostFacts]:
    """What the hosts that answer say of themselves; what is one thing for all of them, one host says.

    That is who the swarm's nodes are, and what the store knows of the database's nodes. Whom it is asked of
    may be just the one that is ill: where no answer has come, all others that could give it are asked.
    """
    managers = [host.name for host in found.managers if host.name in hosts.reachable]
    bearing = [name for name in found.members if name in hosts.reachable]
    # Of two hosts, where there are two: each question makes the look longer.
    facts = await _asked(found, hosts, hosts.reachable, managers[:1], bearing[-1:])
    nodes = [name for name in managers[1:] if not facts[name].error]
    if not found.has("swarm") or any(told.managers for told in facts.values()):
        nodes = []
    records = [name for name in bearing[:-1] if found.service in facts[name].images]
    if cluster_facts.told_by_store(facts.values()):
        records = []
    if again := [name for name in facts if name in nodes or name in records]:
        now = await _asked(found, hosts, again, nodes, records)
        facts |= {name: _with_what_it_said_for_all(told, facts[name]) for name, told in now.items()}
    return facts


def _with_what_it_said_for_all(now: HostFacts, before: HostFacts) -> HostFacts:
    """A host at a second look, in which it was not asked again for what it had said for all hosts."""
    return replace(
        now,
        managers=now.managers or before.managers,
        paused=now.paused or before.paused,
        node_status=now.node_status or before.node_status,
    )


async def _asked(
    found: Outputs, hosts: RemoteHosts, names: Sequence[str], nodes: Sequence[str], records: Sequence[str]
) -> dict[str, HostFacts]:
    """A look at these hosts. Args: nodes, records: who of them says these, as of `brief_look`."""
    managers = {host.name for host in found.managers}
    texts = {
        name: host_looks.brief_look(
            found, name in managers, name in found.members, nodes=name in nodes, records=name in records
        )
        for name in names
    }
    answers = await hosts.run_all(texts, limit=PATIENCE)
    return {name: cluster_facts.parse(answer.text, answer.error) for name, answer in answers.items()}


_KEPT = (
    "it was there before this program, which never restarts it; do so yourself there, once the other "
    "hosts are well (`systemctl restart docker`)"
)
"""Of an engine of a host of one's own: other people's containers may run in it."""


def tell(seen: Seen) -> None:
    """Say whose engine needs a restart; not of who is being replaced, and has left the swarm for good."""
    kept = notes.maintained(facts.node_status for facts in seen.facts.values())
    for name in seen.ill:
        if notes.read(kept.get(name, "")).why == "replaced":
            continue
        mended = f"Its engine is not restarted: {_KEPT}"
        if not seen.facts[name].kept:
            mended = "`up` restarts its engine once the other hosts are well"
        say(f"{name}: {seen.unwell[name]}. {mended}.")


def voters(seen: Seen) -> dict[str, list[tuple[str, str]]]:
    """`bodies`, if anybody cannot vote; empty if all can."""
    told = bodies(seen)
    return told if any(why for body in told.values() for _, why in body) else {}


def bodies(seen: Seen) -> dict[str, list[tuple[str, str]]]:
    """Who has a vote in the swarm, in the store and in the database, by host name, and why some cannot give
    it.

    The swarm knows best who its managers are: former selves of replaced hosts may still count.
    """
    found, told = seen.outputs, dict[str, list[tuple[str, str]]]()
    if found.has("swarm"):
        told[votes.SWARM] = [
            (name, _silent(seen, name) or ("" if heard else "the other managers do not hear it"))
            for name, heard in _swarm_s_managers(seen)
        ]
    if found.has("data"):
        ill = f"{found.store} is not healthy there"
        told[found.store] = [
            (name, _silent(seen, name) or ("" if seen.facts[name].store_healthy else ill))
            for name in found.store_servers or [host.name for host in found.managers]
        ]
        told[votes.DATABASE] = [
            (name, _silent(seen, name) or _not_serving(seen.facts[name])) for name in found.members
        ]
    return told


def _swarm_s_managers(seen: Seen) -> list[tuple[str, bool]]:
    """Their names, and whether the others hear them: as one of them sees it, else by the outputs."""
    for host in seen.outputs.managers:
        if (facts := seen.facts.get(host.name)) and facts.managers:
            return [(each.name, each.status != "Unreachable") for each in facts.managers]
    return [(host.name, True) for host in seen.outputs.managers]


def environment(seen: Seen | None) -> dict[str, str]:
    """What the program is told of the hosts: of those that are not well, it then interrupts no other one, and
    takes no vote away that the rest needs; and that some are in a swarm, where there is to be none.
    """
    if seen is None:
        return {}
    # Who comes back with its former swarm has a step of its own, and nobody else need be asked for it.
    stay = not seen.outputs.has("swarm") and any(
        facts.swarm not in ("", "inactive")
        for name, facts in seen.facts.items()
        if name not in seen.outputs.missed
    )
    unwell = {NOT_WELL: json.dumps(seen.unwell)} if seen.unwell else {}
    if silent := voters(seen):
        unwell[votes.VOTERS] = json.dumps(silent)
    if seen.away:
        unwell[AWAY] = json.dumps(sorted(seen.away))
    return {**unwell, **({LOOK_AGAIN: "1"} if stay else {})}


# -- healing -------------------------------------------------------------------------------------------------


def refusal(seen: Seen, host: str) -> str:
    """Why a host's engine is not restarted now; empty if it may be."""
    if seen.facts[host].kept:
        return _KEPT
    others = {name: why for name, why in seen.unwell.items() if name != host and name not in seen.ill}
    ill = [name for name in seen.ill if name != host]
    # Of several that are ill each is tried, the ones whose database serves last: they can't be worse off.
    if others:
        return "the others are not well: " + "; ".join(f"{name}: {why}" for name, why in others.items())
    if ill and _serves(seen, host) and not all(_serves(seen, name) for name in ill):
        return f"{', '.join(ill)} must be repaired first, while the database of {host} still serves"
    space = seen.facts[host].space
    if not space.size:
        space = seen.facts[host].beside
    if space.size and space.free < disk_space.ROOM_TO_START * space.size:
        return (
            f"its disk is full ({space.free / 1e9:.1f} of {space.size / 1e9:.1f} GB free): make room first, "
            f"{disk_space.IN_AN_EMERGENCY}"
        )
    return ""


def _serves(seen: Seen, host: str) -> bool:
    return seen.facts[host].galera.get("wsrep_local_state_comment") == "Synced"


def heal(seen: Seen, but: Collection[str] = ()) -> Seen:
    """Restart the engines that need it, one after the other, once the others are well; the hosts after it.

    Args:
        but: left as they are: who is being replaced has left the swarm, and no restart brings it back.

    What can't be done now is said, with the reason, and left. Raises OperationsError if a host is not back.
    """
    tried = set(but)
    while True:
        waiting = [name for name in seen.ill if name not in tried]
        order = sorted(waiting, key=lambda name: _serves(seen, name))
        host = next((name for name in order if not refusal(seen, name)), None)
        if host is None:
            for name in waiting:
                say(f"{name}: {seen.unwell[name]}. Its engine is not restarted: {refusal(seen, name)}.")
            return seen
        tried.add(host)
        say(f"{host}: {seen.unwell[host]}. Restarting its engine …")
        seen = asyncio.run(_restart(seen.outputs, host))
        still = seen.unwell.get(host)
        say(f"{host}: {still}." if still else f"{host} is well again.")


async def _restart(found: Outputs, host: str) -> Seen:
    manager = host in {each.name for each in found.managers}
    note = "mkdir -p /run/swarm-galera; : >/run/swarm-galera/engine.restart"
    # After a few vain starts (a disk without room) systemd refuses a further one, also by hand.
    again = "systemctl reset-failed docker.service 2>/dev/null || :"
    # An engine that is ill does not tell the key with which it is locked after its restart.
    locks = manager and bool(found.unlock_keys)
    forgetting = f"{assign(store=NETWORKS)}\n{body('engine_forgets', remote_hosts.SCRIPTS)}"
    settling = settle(host, manager=manager, ask=False, locks=locks)
    script = f"{note}\n{again}\n{forgetting}\n{settling}"
    values = "".join(f"{line}\n" for line in ("1", *(found.unlock_keys if locks else ())))
    async with remote_hosts.connected(found) as hosts:
        answer = await hosts.run(host, script, values, HEALING)
    if answer.error:
        raise OperationsError(f"{host} is not back after the restart of its engine: {answer.error}")
    return await look_at(found)
