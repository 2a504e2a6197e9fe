"""The look at all hosts of one's own before anything is declared: at preview, too.

Owns: asking them side by side, one list of all problems. Changes nothing anywhere.
Leaves to others: the way there (way.py), what is a problem (fit.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from components import consul, etcd, galera
from components.host_scripts import own
from components.own_hosts import fit
from components.own_hosts.facts import Facts, parse
from components.own_hosts.way import Refused, Session, TooSlow, Unreachable, Way, session
from settings import Settings, application
from settings.errors import UserError
from settings.own_hosts import OwnHost

T = TypeVar("T")
SWARM = "swarm"
"""The stack's output by which the next run knows the swarm again: its `id`."""
VOLUMES = (galera.VOLUME, etcd.VOLUME, consul.VOLUME, application.VOLUME)
"""What a new cluster would take for its own."""
SHARED = (application.VOLUME,)
"""What somebody may have made beforehand, to lead to a server of files."""


@dataclass(frozen=True)
class Looked:
    """All hosts of one's own, as the settings and as they themselves say.

    Attributes:
        hosts, seen: by name.
        members: names of those that the last complete run had.
        listen: whether their engines' API is to listen with TLS.
        cluster: id of the stack's swarm; empty if the last complete run had none, None if it did not say
            which.
    """

    hosts: Mapping[str, OwnHost]
    seen: Mapping[str, Facts]
    members: frozenset[str]
    listen: bool = False
    cluster: str | None = None

    @property
    def marked(self) -> bool:
        """Whether any belongs to a stack: then the identity must be known, to tell whose it is."""
        return any(facts.mark for facts in self.seen.values())

    @property
    def away(self) -> dict[str, str]:
        """Those that do not answer, by name."""
        return {name: "does not answer" for name, facts in self.seen.items() if facts.unreachable}

    @property
    def encrypted(self) -> list[str]:
        """Those whose data disk is an open encrypted one."""
        return [name for name, facts in self.seen.items() if facts.encrypted]

    def refuse_bad(self, owner: str | None) -> None:
        """Raise UserError with all problems. `owner`: this stack's identity, None before it has one."""
        wanted = [
            fit.Wanted(host, self.seen[name], name in self.members, self._ours(name, owner), self.listen)
            for name, host in self.hosts.items()
        ]
        found = fit.problems(wanted, self.cluster)
        if found:
            count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
            lines = "\n".join(f"  - {problem}" for problem in found)
            raise UserError(
                f"The hosts of your own have {count}; nothing was ordered or changed, not on them "
                f"either:\n{lines}"
            )

    def _ours(self, name: str, owner: str | None) -> bool:
        return bool(owner) and self.seen[name].mark == owner

    def host_key(self, name: str) -> str:
        """The one to pin; empty of a host that does not answer."""
        return self.seen[name].host_key


def look(settings: Settings, key: str | None, last: Mapping[str, Any]) -> Looked:
    """Look at all of them at a time.

    Args:
        key: the private key's text; None where the SSH agent has it.
        last: outputs of the stack's last complete run, which know the pinned host keys.
    """
    pinned = pinned_keys(last)
    hosts = {host.name: host for host in settings.servers.own}
    subnet = settings.network.subnet

    async def all_of_them() -> list[Facts]:
        ways = [Way.to(host, key, pinned.get(name)) for name, host in hosts.items()]
        pairs = zip(hosts.values(), ways, strict=True)
        return await asyncio.gather(*(seen_of(host, way, subnet) for host, way in pairs))

    seen = in_a_loop_of_its_own(all_of_them)
    told = dict(zip(hosts, seen, strict=True))
    return Looked(hosts, told, frozenset(pinned), settings.engine.access == "tls", swarm_of(last))


async def seen_of(host: OwnHost, way: Way, subnet: str) -> Facts:
    """One host; never raises."""
    try:
        async with session(way) as there:
            await _require_sudo(there)
            said = await there.run(own.look(host.name, subnet, host.disk, VOLUMES, SHARED))
            if said.exit_status != 0 or "hostname\t" not in str(said.stdout or ""):
                words = " ".join(str(said.stderr or "").split()) or "it said nothing"
                raise Refused(
                    f"it could not be looked at ({words[:200]}). Remedy: the shell of {way.user} there must "
                    f"be bash (`chsh -s /bin/bash {way.user}`); see what a login prints"
                )
            return parse(str(said.stdout), there.host_key)
    except (Unreachable, TooSlow) as refused:
        # A host of a running cluster whose engine or disk hangs is as good as one that is off.
        return Facts(refused=str(refused), unreachable=True)
    except Refused as refused:
        return Facts(refused=str(refused))


async def _require_sudo(there: Session) -> None:
    user = there.way.user
    if user == "root":
        return
    allowed = await there.plain("sudo -n true", 30)
    if allowed.exit_status != 0:
        why = " ".join(str(allowed.stderr or "").split()) or "no reason given"
        raise Refused(
            f"{user} may not use sudo without a password there ({why}). Remedy: as root there: "
            f"echo '{user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{user}; or log in as root"
        )


def pinned_keys(last: Mapping[str, Any]) -> dict[str, str]:
    """Host keys that are pinned, by the host's name, from a stack's outputs."""
    return {
        str(host["name"]): str(host["hostKey"]) for host in last.get("hosts") or () if host.get("hostKey")
    }


def swarm_of(last: Mapping[str, Any]) -> str | None:
    """As `Looked.cluster`, from a stack's outputs. Older ones do not say which swarm it is."""
    if SWARM not in last and "joinTokens" in last:
        return None
    return str((last.get(SWARM) or {}).get("id", ""))


def in_a_loop_of_its_own(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine although this thread has a loop that runs: Pulumi's, which runs the program."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()
