"""Which manager's engine docker resources go to with TLS, where the one in the state does not answer.

Owned here: finding that out before Pulumi begins, and entering another one into the state. Left to others:
the choice (components/engine_choice.py), the same within a run (components/docker_host_access.py).

`refresh` and `destroy` do not run the program, and ask where the docker provider in the state leads. Over SSH
that is whichever manager answers; with TLS it is one address.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from components import engine_choice
from operations import outputs
from operations.around_run.resource_types import PROVIDER
from operations.messages import say
from operations.outputs import EngineAccess, Outputs
from operations.pulumi_cli import Pulumi
from settings.errors import UserError

PATIENCE = 20.0
"""Seconds until the one in the state is left as it is, because no other does better."""


def ready(pulumi: Pulumi) -> None:
    """Have the state lead to a manager that answers; nothing where it leads through SSH, or to nobody's good.

    Whoever asks there then says what is wrong.
    """
    exported = pulumi.export() or {}
    before = engine_choice.address_of(host_in(exported))
    if not before:
        return
    try:
        found = outputs.read(pulumi)
        if found.engine is None:
            return
        chosen = of_a_manager(found, found.engine, before)
    except UserError as error:
        say(str(error))
        return
    if chosen != before:
        pulumi.import_state(led_to(exported, engine_choice.url(chosen)))
        say(f"Docker resources are asked for at {chosen} from now on: {before} does not answer as a manager.")


def of_a_manager(found: Outputs, engine: EngineAccess, before: str = "") -> str:
    """The address of a manager that answers, else that of before. Raises NobodyLetsUsIn."""
    managers = {host.name: engine.addresses[host.name] for host in found.managers}

    def ask(address: str) -> engine_choice.Said:
        return engine_choice.asked(address, engine.shown, engine.port)

    return engine_choice.choose(managers, before or engine.asked, ask, say, patience=PATIENCE)


def host_in(exported: Mapping[str, Any]) -> str:
    """Where the docker provider in a state leads; empty where there is none."""
    hosts = [str((each.get("inputs") or {}).get("host") or "") for each in _providers(exported)]
    return next(iter(hosts), "")


def led_to(exported: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The state with a docker provider that leads there."""
    state: dict[str, Any] = copy.deepcopy(dict(exported))
    for each in _providers(state):
        for part in ("inputs", "outputs"):
            if part in each:
                each[part]["host"] = host
    return state


def _providers(exported: Mapping[str, Any]) -> list[dict[str, Any]]:
    resources = (exported.get("deployment") or {}).get("resources") or ()
    return [each for each in resources if each.get("type") == PROVIDER and not each.get("delete")]
