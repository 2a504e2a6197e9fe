"""`upgrade-hosts`: security updates and reboots, one host at a time, each once all others are well.

Owned here: the command, what is done with each host and what is waited for. Left to others: what there is to
be updated (updates.py), when a host may be taken out, and in which order (refusals.py), taking
its node out of the endpoints (node_program.py).

A host is drained before anything is installed on it, because a newer engine restarts all containers by
itself, and a reboot gives a database no more time than systemd does. Where it was broken off is seen: the
node's note says that its host is being upgraded, and a label of the swarm's whom this command has drained;
that host is the first of the next call. Who was drained by a person stays so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from components.host_scripts.shell import assign, body
from components.host_scripts.swarm_leaving import functions
from operations import backup_end, node_program, notes, outputs, well
from operations.around_run import care
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.messages import say
from operations.node_program import telling
from operations.notes import Note
from operations.options import InterruptBackupOption, StackOption, YesOption
from operations.outputs import Outputs
from operations.remote_hosts import SCRIPTS, Answer, RemoteHosts, connected
from operations.session import opened, require_terminal_or_yes
from operations.unlock import locked, locked_disks
from operations.upgrade import updates as host_updates
from operations.upgrade.refusals import begun, in_the_way, order, others, refusal
from operations.upgrade.updates import Updates

LOOKS_WITHIN = 600.0
"""Seconds for a host to fetch its lists of packages."""
INSTALLS_WITHIN = 3600.0
DRAINS_WITHIN = 900.0
ENDS_WITHIN = 600
"""Seconds within that for containers to end which the swarm was told to stop."""
LABEL = "swarm-galera.upgraded"
"""Node label, `true` on a host that this command has drained."""
BOOTS_WITHIN = 900.0
"""Seconds for a host to be back after a reboot."""
WELL_WITHIN = 1800.0
"""Seconds for a host to be well after that: its node may take a full copy."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("upgrade-hosts")(upgrade_hosts)


def upgrade_hosts(
    hosts: Annotated[list[str] | None, typer.Argument(metavar="[HOST…]", help="By default all.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All updates of the release, not the security updates alone.")
    ] = False,
    interrupt_backup: InterruptBackupOption = False,
    stack: StackOption = "dev",
    yes: YesOption = False,
) -> None:
    """Bring hosts' packages up to date, one host at a time, and reboot those that need it.

    Says first what it will do. Refused unless all others are well and can do without a host. Interrupted,
    the same command goes on.
    """
    require_terminal_or_yes(yes)
    with opened(stack) as session:  # two calls at a time might each take the host that the other counts on
        found = outputs.read(session.pulumi)
        upgraded(found, hosts or [], everything, yes, interrupt=interrupt_backup)


def upgraded(
    found: Outputs,
    names: Sequence[str],
    everything: bool,
    yes: bool,
    token: str = "",
    *,
    interrupt: bool = False,
) -> None:
    """Bring hosts (all where none is named) up to date. Raises OperationsError for what is in the way.

    Args:
        token: note with each host that it was done for this word, and leave out those that have it.
        interrupt: do not wait for the end of a backup (backup_end.py).
    """
    if unknown := sorted(set(names) - {host.name for host in found.hosts}):
        known = ", ".join(host.name for host in found.hosts)
        raise OperationsError(f"{', '.join(unknown)} is no host of this stack ({known}).")
    asyncio.run(_upgraded(found, names, everything, yes, token, interrupt))


def draining(host: str, availability: str, *, required: bool = False) -> str:
    """Shell text for another manager: have a host's containers end in order, or come back.

    Args:
        required: have them come back also where somebody else has drained it.
    """
    facts = assign(
        hostname=host,
        availability=availability,
        label=LABEL,
        ends_within=ENDS_WITHIN,
        required="1" if required else "",
    )
    return "\n".join([functions([]), facts, body("upgrade_drain", SCRIPTS)])


def drained() -> str:
    """Shell text for a manager that prints whom an earlier call has drained."""
    return f"docker node ls --filter node.label={LABEL}=true --format '{{{{.Hostname}}}}'"


# -- doing it ------------------------------------------------------------------------------------------------


async def _upgraded(
    found: Outputs, names: Sequence[str], everything: bool, yes: bool, token: str, interrupt: bool
) -> None:
    wanted = names or [host.name for host in found.hosts]
    if token and not (wanted := await _without(found, wanted, token)):
        return
    seen = await care.look_at(found)
    left = await _left(seen)
    updates = await _looked(found, wanted)
    for name in wanted:
        say(f"{name}: {host_updates.told(updates[name], everything) or 'nothing to do'}.")
    due = [name for name in wanted if updates[name].due(everything) or begun(seen, name, left)]
    if due:
        due = order(seen, due, left)
        if why := in_the_way(seen, due, left):
            raise OperationsError(f"{why}. Nothing was changed.")
        say(f"One after the other, each once the one before is well again: {', '.join(due)}.")
        if said := backup_end.notice(seen, due, interrupt):
            say(said)
        if not yes and not typer.confirm("Do it?"):
            say("Nothing was changed.")
            raise typer.Exit(1)
    for name in due:
        await _one(found, name, updates[name], everything, interrupt)
        say(f"{name} is up to date, and well.")
    if token:
        await _noted(found, wanted, token)


async def _left(seen: Seen) -> list[str]:
    """Whom an earlier call has drained, and left so. Raises OperationsError."""
    if not seen.outputs.has("swarm") or not (managers := others(seen, "")):
        return []
    async with connected(seen.outputs) as hosts:
        answer = await hosts.run(managers[0], drained())
    if answer.error:
        raise OperationsError(f"Who is drained could not be found out: {answer.error}. Nothing was changed.")
    return answer.text.split()


async def _without(found: Outputs, names: Sequence[str], token: str) -> list[str]:
    """Those that were not brought up to date for this word yet; who does not answer is among them."""
    async with connected(found) as hosts:
        answers = await hosts.run_all(dict.fromkeys(names, host_updates.done_for()))
    return [name for name, answer in answers.items() if answer.error or answer.text.rstrip("\n") != token]


async def _looked(found: Outputs, names: Sequence[str]) -> dict[str, Updates]:
    """What there is to be updated, by host. Raises OperationsError for a host that does not say."""
    async with connected(found) as hosts:
        texts = dict.fromkeys(names, host_updates.look())
        answers = await telling("asking for updates", hosts.run_all(texts, limit=LOOKS_WITHIN))
    if failed := {name: answer.error for name, answer in answers.items() if answer.error}:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise OperationsError(f"What is to be updated could not be found out: {told}. Nothing was changed.")
    return {name: host_updates.parse(answer.text) for name, answer in answers.items()}


async def _free(found: Outputs, name: str, interrupt: bool) -> Seen:
    """The hosts as they are once a host may be upgraded. Raises OperationsError if it may not be."""
    seen = await care.look_at(found)
    left = await _left(seen)
    _require_free(seen, name, left)
    now = await backup_end.awaited(seen, name, interrupt=interrupt, begun=begun(seen, name, left))
    if now is not seen:  # hours later, perhaps
        _require_free(now, name, await _left(now))
    return now


def _require_free(seen: Seen, name: str, left: Sequence[str]) -> None:
    if why := refusal(seen, name, left):
        raise OperationsError(
            f"{name} is not upgraded: {why}. Nothing of it was changed; repeat the command."
        )


async def _one(found: Outputs, name: str, updates: Updates, everything: bool, interrupt: bool) -> None:
    """One host, from its last client to the first one after it."""
    seen = await _free(found, name, interrupt)
    await locked_disks.require_key(found, name)
    managers = others(seen, name)
    async with connected(found) as hosts:
        if found.has("data") and name in found.members:
            note = Note("upgraded", notes.somebody(), notes.now())
            await node_program.take_out(hosts, seen, name, note)
        if found.has("swarm"):
            run = hosts.run(managers[0], draining(name, "drain"), limit=DRAINS_WITHIN)
            _require(await telling(f"{name} is stopping its containers", run), name, "drained")
        if updates.half:
            run = hosts.run(name, host_updates.finish(), limit=INSTALLS_WITHIN)
            _require(await telling(f"{name} is finishing an installation", run), name, "brought up to date")
            updates = await _looked_again(hosts, name)
        packages = updates.wanted(everything)
        if packages:
            say(f"{name}: installing {len(packages)} packages …")
            run = hosts.run(name, host_updates.install(packages), limit=INSTALLS_WITHIN)
            _require(await telling(f"{name} is installing", run), name, "brought up to date")
        now = await _looked_again(hosts, name)
    if why := host_updates.reboots(now, packages):
        say(f"{name}: rebooting ({why}) …")
        await _rebooted(found, name, now.boot)
    elif now.restart:
        await _engine_restarted(found, name)
    await _back(found, name, managers)


async def _looked_again(hosts: RemoteHosts, name: str) -> Updates:
    run = hosts.run(name, host_updates.look(), limit=LOOKS_WITHIN)
    answer = await telling(f"{name} is looked at again", run)
    _require(answer, name, "looked at")
    return host_updates.parse(answer.text)


def _require(answer: Answer, name: str, done: str) -> None:
    if answer.error:
        raise OperationsError(
            f"{name} could not be {done}: {answer.error}. It stays drained and in maintenance; repeat the "
            "command"
        )


async def _rebooted(found: Outputs, name: str, boot: str) -> None:
    """Reboot a host and wait until it answers anew."""
    async with connected(found) as hosts:
        await hosts.run(name, host_updates.reboot(boot))  # the connection may break

    async def problem() -> str:
        one = replace(found, hosts=tuple(host for host in found.hosts if host.name == name))
        async with connected(one) as hosts:
            answer = await hosts.run(name, "cat /proc/sys/kernel/random/boot_id")
        if answer.error:
            return f"{name} does not answer yet"
        return f"{name} has not rebooted yet" if answer.text.strip() == boot else ""

    if why := await node_program.wait_for(f"rebooting {name}", problem, BOOTS_WITHIN):
        raise OperationsError(
            f"{why}, {BOOTS_WITHIN / 60:.0f} minutes after its reboot. No further host was touched. Remedy: "
            "look at its console; once it is back, repeat the command"
        )
    if found.disk_keys:  # first: without its disk no engine runs
        await locked_disks.unlocked(found)


async def _engine_restarted(found: Outputs, name: str) -> None:
    async with connected(found) as hosts:
        answer = await telling(f"{name}: restarting its engine", hosts.run(name, "systemctl restart docker"))
    _require(answer, name, "given its new engine")


async def _back(found: Outputs, name: str, managers: Sequence[str]) -> None:
    """Have containers run there again, wait until all is well, and let clients back."""
    now: Seen | None = None

    bears = found.has("data") and name in found.members
    back = draining(name, "active", required=bears)

    async def active() -> str:
        # Each time: a newer engine restarts with its package, and after a reboot it comes up late.
        if found.unlock_keys:
            await locked.unlocked(found)
        async with connected(found) as hosts:
            return (await hosts.run(managers[0], back)).error

    async def problem() -> str:
        nonlocal now
        now = await care.look_at(found)
        unheard = [who for who, why in care.bodies(now).get("the swarm", ()) if why]
        return "; ".join(
            [
                *(f"{each}: {why}" for each, why in now.unwell.items()),
                *(f"{each} is not heard by the other managers" for each in unheard if each not in now.unwell),
            ]
        )

    if found.has("swarm") and (
        why := await node_program.wait_for(f"{name} in the swarm", active, BOOTS_WITHIN)
    ):
        raise OperationsError(f"{name} does not take part in the swarm: {why}. Repeat the command.")
    if why := await node_program.wait_for(f"waiting until {name} is well", problem, WELL_WITHIN):
        raise OperationsError(
            f"After the upgrade of {name} not all is well: {why}. No further host was touched. Remedy: "
            "`verify` names what is amiss; then repeat the command"
        )
    if bears and now is not None and (name in well.maintained(now) or not well.told(now)):
        async with connected(found) as hosts:
            await node_program.bring_back(hosts, now, name)


async def _noted(found: Outputs, names: Sequence[str], token: str) -> None:
    async with connected(found) as hosts:
        answers: Mapping[str, Answer] = await hosts.run_all(dict.fromkeys(names, host_updates.noted(token)))
    for name, answer in answers.items():
        _require(answer, name, "marked as up to date")


def by_setting(found: Outputs, token: object) -> None:
    """Bring all hosts up to date once for each new text of hosts.upgradeToken."""
    if isinstance(token, str) and token:
        upgraded(found, [], everything=False, yes=True, token=token)
