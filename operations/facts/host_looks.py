"""What is asked on a host of the cluster, in one SSH session.

Owned here: the scripts. Left to others: how the answers read (cluster.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from components.host_scripts.disk import MOUNT_POINT, RESERVE
from components.host_scripts.own import NOTES
from components.host_scripts.shell import assign, body
from operations.facts import consul as consul_facts
from operations.facts import rotation as rotation_facts
from operations.facts.galera_variables import OTHER_TABLES, STATE, STATUS, VARIABLES
from operations.outputs import REPLICATED, Outputs
from operations.remote_hosts import SCRIPTS


def look(outputs: Outputs, manager: bool, member: bool) -> str:
    """Shell text that prints a host's facts as lines `name<TAB>value`; a part that fails prints nothing.

    Only what the stack's layer has is asked for.
    """
    asked = (_shown("STATUS", STATUS), _shown("VARIABLES", VARIABLES), OTHER_TABLES)
    parts = [*_first_questions(outputs, "\n".join(asked), records=True), _ENGINE]
    if manager and outputs.has("swarm"):
        parts.append(_MANAGER)
    parts.append(_DISK_AND_NETWORK)
    if manager and outputs.unlock_keys and outputs.has("swarm"):
        parts.append(_AUTOLOCK)
    if outputs.has("data") and outputs.store == "consul":
        parts += [consul_facts.LOOK, *([consul_facts.RIGHTS] if manager else [])]
    elif manager and outputs.has("data"):
        parts.append(_STORE)
    if member:
        parts.append(_GALERA)
    if manager and outputs.has("data"):
        parts.append(rotation_facts.look(outputs.database))
    if not outputs.has("data"):
        parts.append(_VOLUMES)
    return _whatever_comes(parts)


def brief_look(
    outputs: Outputs, manager: bool, member: bool, *, nodes: bool = True, records: bool = True
) -> str:
    """The same with only what tells whether a host is well, and what one host may tell for all of them: `up`
    waits for it before it begins.

    On small hosts each question takes half a second or more, to a container a second, so those that do not
    rest on one another are asked side by side.

    Args:
        nodes: a manager says who the swarm's nodes are.
        records: a node says what the store knows: who is in maintenance, being replaced or the writer.
    """
    parts = [_ENGINE]
    if manager and outputs.has("data"):
        parts.append(consul_facts.HEALTH if outputs.store == "consul" else _STORE_HEALTH)
    if member:
        parts.append(_GALERA)
    if manager and nodes and outputs.has("swarm"):
        parts.append(_MANAGER)
    asked = _first_questions(outputs, _shown("STATUS", STATE), records=records)
    return _whatever_comes([*asked, *_side_by_side(parts)])


def _side_by_side(parts: Sequence[str]) -> list[str]:
    """Shell text that runs these at a time; what each prints is kept apart and printed in their order.

    Of one that fails there is as much as if it had been run alone: a line that it has not ended is its own.
    """
    begun = [f"exec {{part_{number}}}< <(\n{part}\n)" for number, part in enumerate(parts)]
    all_parts = " ".join(f'"$part_{number}"' for number in range(len(parts)))
    return [*begun, f'for part in {all_parts}; do cat <&"$part"; echo; done']


def _first_questions(outputs: Outputs, asked: str, *, records: bool) -> list[str]:
    """What both looks begin with.

    Args:
        asked: of the database.
        records: whether its node is asked what the store knows.
    """
    facts = assign(
        mount=MOUNT_POINT,
        replicated=REPLICATED,
        network=outputs.network,
        service=outputs.service,
        store=outputs.store,
        query=asked,
        records="asked" if records else "",
        reserve=f"{MOUNT_POINT}/{RESERVE}",
        kept=f"{NOTES}/engine",
    )
    return [facts, _HOST]


def _whatever_comes(parts: Sequence[str]) -> str:
    """What could not be found out is missing from the answer; it is no reason to lose the rest."""
    return "\n".join([*parts, ":"])


def _shown(what: str, names: Sequence[str]) -> str:
    """SQL for these of the database's `STATUS` or `VARIABLES`."""
    wanted = ", ".join(f"'{name}'" for name in names)
    return f"SHOW GLOBAL {what} WHERE Variable_name IN ({wanted});"


_HOST = body("facts_host", SCRIPTS)

_ENGINE = body("facts_engine", SCRIPTS)

_MANAGER = r"""
docker node ls --format '{{.ID}}={{.Hostname}}={{.ManagerStatus}}={{.Availability}}' | tell manager
""".strip()

_AUTOLOCK = body("facts_autolock", SCRIPTS)

_VOLUMES = "docker volume ls --quiet | tell stored"

_DISK_AND_NETWORK = body("facts_disk_and_network", SCRIPTS)

_STORE = body("facts_store", SCRIPTS)

_STORE_HEALTH = body("facts_store_health", SCRIPTS)

_GALERA = body("facts_galera", SCRIPTS)
