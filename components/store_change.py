"""From etcd to Consul and back: never under a database that runs, and never onto records of before.

Owns: which store has the cluster's records, refusing another one where they are still needed, or another name
of Consul's datacenter, which volume is superseded and goes, and what of that is told.
Leaves to others: removing the volume (taken_down.py), the rule by which nodes with data find one another
without any records (images/galera, decision/full_outage.py).

Two stores at a time could give the bootstrap, and the writer's place, to two nodes. And records that are
older than the data are worse than none: with none, the nodes look at each other's data and wait until all of
them are there. So a change takes the layer `data` down, the records of the former store go, and it goes up
with the other one: the nodes restart from the most advanced data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components import galera
from components.discovery import VOLUMES
from settings import Settings
from settings.discovery import Kind


def store_of(outputs: Mapping[str, Any]) -> Kind | None:
    """The store that has the records of a cluster, one that runs or one that is kept; None for no cluster."""
    if outputs.get("galera"):
        running: Kind = (outputs.get("discovery") or {}).get("kind", "etcd")
        return running
    kept: Kind | None = outputs["keptData"].get("store", "etcd") if outputs.get("keptData") else None
    return kept


def datacenter_of(outputs: Mapping[str, Any]) -> str:
    """What Consul is called by, of a cluster that runs or is kept; empty for none, or if nothing tells."""
    told = (outputs.get("discovery") if outputs.get("galera") else outputs.get("keptData")) or {}
    name: str = told.get("datacenter", "")
    return name


def volumes_of(outputs: Mapping[str, Any]) -> list[str]:
    """The volumes that bear a cluster on each of its members; none without a cluster."""
    store = store_of(outputs)
    if store is None:
        return []
    kept = {} if outputs.get("galera") else outputs.get("keptData") or {}
    return list(kept.get("volumes", (VOLUMES[store], galera.VOLUME)))


def superseded(settings: Settings, record: Mapping[str, Any]) -> Kind | None:
    """The store whose records go, as the settings want the other one. Args: record: of what is kept."""
    former: Kind | None = record.get("store")
    return former if former not in (None, settings.discovery.kind) else None


def refusals(settings: Settings, outputs: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the settings beside the store of before; none once its records are gone."""
    former, kind = store_of(outputs), settings.discovery.kind
    if former is None or not settings.deploys("data"):
        return
    if former == kind:
        yield from _moved(datacenter_of(outputs), settings)
        return
    if outputs.get("galera"):
        yield (
            f"swarm-galera:discovery.kind: {kind}, and the database runs with {former}: node by node it "
            "would ask two stores at a time who leads. Remedy: set it back; or, with the database away for "
            f"some minutes, deployUpTo: swarm, takeDown: [application, data] and kind: {kind}, `up`, then "
            "without the first two `up` again (docs/how-to/consul.md)"
        )
    else:
        yield (
            f"swarm-galera:discovery.kind: {kind}, and the records of the kept data are in {former}. They "
            "must not come back once they are old. Remedy: with deployUpTo as it was, `up` once, which "
            f"removes them; then go up, and the nodes restart from their data; or set kind: {former}"
        )


def _moved(former: str, settings: Settings) -> Iterator[str]:
    """Refusal of another name for where Consul is: member by member, the store would lose its majority."""
    wanted = settings.servers.place.lower()
    if settings.discovery.kind == "consul" and former not in ("", wanted):
        yield (
            f"swarm-galera:servers.datacenter: Consul's datacenter would be {wanted}, and its records are of "
            f"{former}: members of two names do not know each other. Remedy: say servers.datacenter: "
            f"{former} (without it, it is the first manager's; a pool may name another); or have etcd before "
            "you move (docs/how-to/consul.md)"
        )


def after(record: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The record of what is kept once a superseded store's records have gone."""
    gone = superseded(settings, record)
    if gone is None:
        return dict(record)
    volumes: Sequence[str] = record["volumes"]
    left = [volume for volume in volumes if volume != VOLUMES[gone]]
    kept = {key: value for key, value in record.items() if key != "datacenter"}
    return {**kept, "store": settings.discovery.kind, "volumes": left}


def told(settings: Settings, record: Mapping[str, Any]) -> str:
    """What a run that removes records says of it; empty for any other."""
    gone = superseded(settings, record)
    if gone is None or not settings.keep_data:
        return ""
    return (
        f" The records of {gone} are removed (discovery.kind: {settings.discovery.kind}): nodes with data "
        "then restart from the most advanced of them, once all of them are there."
    )
