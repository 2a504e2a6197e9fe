"""What the settings want of the stack's layers, beside what its last complete run left.

Owns: reading that from the outputs, refusing to take down what was not named, and to go up again before or
without what was kept; what a run says of both.
Leaves to others: which layers there are (settings/layers.py), the store's kind (store_change.py), declaring
them (swarm_layer.py, data_layer.py, application.py), what is done on hosts (taken_down.py).

A stack is as high as its outputs show, even if it says that it is lower: a run that fails adds its outputs to
those of before, so that both are there (Pulumi 3.245). Below `data` they say what is kept of a cluster: its
names and initial SQL count as before once it is back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components import rotation, server_version, store_change
from settings import Settings, SettingsError
from settings.layers import LAYERS, Layer, above, reaches

RECORDED = (
    *("clusterName", "database", "initdb", "members", "dataPath", server_version.OUTPUT),
    rotation.PASSWORDS,
)
"""What is kept of the output `galera` (stack_outputs.py) while there is none; and its store and volumes."""
REMOVED: Mapping[Layer, str] = {
    "application": "the application's service and containers",
    "data": "the services of store, database and load balancer",
    "swarm": "the overlay network and the swarm",
}
GONE: Mapping[Layer, tuple[str, ...]] = {
    "application": ("application",),
    "data": ("discovery", "discoveryAccess", "galera", "loadBalancer", "passwords", "backup"),
    "swarm": ("network", "joinTokens"),
}
"""Outputs that other projects may read, by the layer that they go with."""
SHOWN: Mapping[Layer, str] = {
    "application": "application",
    "data": "galera",
    "swarm": "network",
    "hosts": "hosts",
}
"""The output by which a layer shows that it is there."""
LOOK_AGAIN = "SWARM_GALERA_LOOK_AGAIN"
"""Environment variable by which `python -m operations` says that hosts are not as the outputs have it: a run
that was to go up, and failed, leaves a swarm and the outputs of before."""
AWAY = "SWARM_GALERA_AWAY"
"""Environment variable by which `python -m operations` says which hosts do not answer: JSON, their names."""


@dataclass(frozen=True)
class Layers:
    """The layers of a run.

    Attributes:
        top: the highest that is deployed.
        former: the one of the last complete run; None before the first.
        record: what is known of the data that is in the hosts' volumes although nothing serves it; empty for
            none.
        round: another number while hosts have yet to do what must wait for Pulumi's deletions.
        settled: whether hosts were out of the swarm before this run, or never in one.
        note: what to tell the user before a layer is taken down.
        due: whether hosts have something to do because of what was taken down, or may have.
        missed: hosts that did not answer when they had, by the last run.
        returned: those of them that have answered since.
        away: hosts that do not answer now, as far as somebody has looked.
    """

    top: Layer
    former: Layer | None
    record: Mapping[str, Any]
    round: int
    settled: bool
    note: str = ""
    due: bool = False
    missed: frozenset[str] = frozenset()
    returned: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings, last: Mapping[str, Any]) -> Layers:
        """As settings and the last run's outputs have it. Raises SettingsError."""
        top, former, before = settings.deploy_up_to, layer_of(last), last.get("takenDown") or {}
        record = {} if settings.deploys("data") else kept_of(last)
        if problems := refusals(settings, last):
            raise SettingsError(problems)
        again = before.get("done") is False or bool(os.environ.get(LOOK_AGAIN))
        settled = former in (None, "hosts")
        return cls(
            top=top,
            former=former,
            record=record,
            round=int(before.get("round", 1)) + again,
            settled=settled,
            note=told(settings, goes, record) if (goes := going(top, former)) else "",
            due=again or bool(goes) or bool(record and not settings.keep_data),
            missed=frozenset(before.get("missed") or ()),
            returned=frozenset(before.get("returned") or ()),
            away=frozenset(json.loads(os.environ.get(AWAY) or "[]")),
        )

    @property
    def serves(self) -> bool:
        """Whether there may be clients since the last run, so that no two services change at the same time.
        Without any, the services are made side by side and find each other.
        """
        return self.former is not None and reaches(self.former, "data")

    @property
    def hosts_ask_the_swarm(self) -> bool:
        """Whether an engine asks its swarm before it restarts. In the run that takes it down, it still does:
        else that step would run again, and wait for containers that may be ill.
        """
        return reaches(self.top, "swarm") or not self.settled


def layer_of(outputs: Mapping[str, Any]) -> Layer | None:
    """The layer that outputs stand for; None for those of no complete run."""
    said = outputs.get("layer")
    return next((layer for layer in reversed(LAYERS) if SHOWN[layer] in outputs or layer == said), None)


def kept_of(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the outputs say of data: of a cluster that runs, or of one that was taken down and kept."""
    galera = outputs.get("galera") or outputs.get("keptData") or {}
    found = {key: galera[key] for key in RECORDED if key in galera}
    if found:
        found |= {"store": store_change.store_of(outputs), "volumes": store_change.volumes_of(outputs)}
        if datacenter := store_change.datacenter_of(outputs):
            found["datacenter"] = datacenter
    return found


def going(top: Layer, former: Layer | None) -> list[Layer]:
    """The layers that are taken away, the highest first."""
    return [] if former is None else [layer for layer in reversed(above(top)) if reaches(former, layer)]


def refusals(settings: Settings, last: Mapping[str, Any]) -> list[str]:
    """Problems of the settings beside what the last run left."""
    top, former = settings.deploy_up_to, layer_of(last)
    found = []
    goes = going(top, former)
    if [layer for layer in goes if layer not in settings.take_down]:
        wanted = ", ".join(goes)
        found.append(
            f"swarm-galera:deployUpTo: {told(settings, goes, kept_of(last))} Remedy: if that is meant, add "
            f"takeDown: [{wanted}]; else set deployUpTo: {former}"
        )
    before = last.get("takenDown") or {}
    # Where the outputs show more than they say, the run on the way down failed before it removed anything.
    pending = before.get("done") is False and last.get("layer") == former
    if former is not None and pending and not reaches(former, top):
        found.append(
            f"swarm-galera:deployUpTo: {top}, and what was above {former} is not wholly taken down yet "
            f"({before.get('left') or 'its last run did not say what is left'}). Remedy: set deployUpTo: "
            f"{former}, run `up` until `verify` holds, then go up"
        )
    missed = [name for name in before.get("missed") or () if name in settings.servers.hostnames]
    still = [name for name in missed if name not in settings.servers.replace]
    if still and former is not None and not reaches(former, top):
        found.append(
            f"swarm-galera:deployUpTo: {top}, and {', '.join(still)} did not answer when what was above "
            f"{former} was taken down: what a host has of that comes back with it, and it is a stranger to a "
            f"new swarm. Remedy: bring it back and run `up` with deployUpTo: {former}, once; or give it up "
            "(servers.replace; one's own: out of the settings)"
        )
    serves = settings.deploys("data") and last.get("galera")
    members = kept_of(last).get("members") or []
    lost = [name for name in members if name not in settings.servers.data_names]
    if lost and settings.keep_data and not serves:
        found.append(
            f"swarm-galera:servers.managers: {', '.join(lost)} bear data that is kept while nothing serves "
            "it, and the store counts on them: its majority may go with them. Remedy: set it back, go up to "
            "data, then take them out"
        )
    return [*found, *store_change.refusals(settings, last), *server_version.refusals(settings, last)]


def told(settings: Settings, goes: list[Layer], record: Mapping[str, Any]) -> str:
    """What is removed and what is kept, for a person who decides. Args: record: what is known of the data."""
    removed = " and ".join(REMOVED[layer] for layer in goes)
    gone = ", ".join(name for layer in goes for name in GONE[layer])
    stay = ["servers", "disks", "engines"]
    if reaches(settings.deploy_up_to, "swarm"):
        stay += ["the swarm", "the overlay network"]
    if settings.deploys("data"):
        stay += ["store", "database", "load balancer"]
    if "data" in goes and settings.keep_data:
        data = "The data stays in the hosts' volumes, its passwords in the state"
    elif "data" in goes:
        uploads = ", the application's uploads with it" if settings.application else ""
        data = f"THE DATA IS REMOVED from every host{uploads} (keepData: false)"
    elif settings.deploys("data"):
        secrets = ", its password and salt in the state" if settings.application else ""
        data = f"The application's rows, account and uploads stay{secrets}"
    else:
        data = "Data that is kept stays" if settings.keep_data else "Data that was kept is removed"
    return (
        f"{settings.deploy_up_to} takes down {', '.join(goes)}: {removed} are removed, and clients and other "
        f"projects lose them (outputs {gone}). {', '.join(stay)} stay. {data}."
        f"{store_change.told(settings, record) if 'data' in goes else ''}"
    )
