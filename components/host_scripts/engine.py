"""The Docker engine's configuration and its start, on its own disk only.

Owns: daemon.json, the unit's drop-in, and when the engine may be restarted.
Leaves to others: packages, disk, swarm.

live-restore stays off: swarm mode refuses it. So a restart of the engine stops the host's containers, and
`configure` never restarts an engine that runs some: it leaves a note, and `settle`, which the program runs
on one host after the other, brings the new configuration into effect and waits until the host is back.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.host_scripts import autolock, host
from components.host_scripts.disk import MOUNT_POINT
from components.host_scripts.shell import assign, body, words

DEFAULT_BRIDGE = "172.17.0.0/16"
"""The engine's own default bridge, docker0."""
DEFAULT_POOL = "172.18.0.0/16"
"""The first of the engine's own pools, in which docker_gwbridge is."""
POOL_SIZE = 24
"""Prefix of the networks that are taken out of a pool."""
PATIENCE = 900
"""Seconds until a host that is not back is an error; the next run goes on waiting for it."""

OTHERS_WITHIN = 300
"""Seconds for the other hosts to be well before this one is interrupted."""
DOWN_WITHIN = 45
"""Seconds for one of them that is down: the swarm has waited for its signs of life already."""

DROPIN = f"""# Written by swarm-galera: the engine's data belongs on its own disk.
[Unit]
RequiresMountsFor={MOUNT_POINT}
ConditionPathIsMountPoint={MOUNT_POINT}
"""


@dataclass(frozen=True)
class Places:
    """Where things are on the host; other values are for tests."""

    daemon_json: str = "/etc/docker/daemon.json"
    dropin: str = "/etc/systemd/system/docker.service.d/10-disk.conf"
    wants: str = "/etc/systemd/system/multi-user.target.wants/docker.service"
    state: str = "/run/swarm-galera"


def daemon_json(
    labels: Mapping[str, str],
    dns: Sequence[str] = (),
    registry_mirrors: Sequence[str] = (),
    insecure_registries: Sequence[str] = (),
    bridge: str | None = None,
    address_pools: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    *,
    on_btrfs: bool = True,
) -> str:
    """The engine's configuration as JSON; equal settings give equal text.

    Logs are kept as 10 files of 10 MB for each container.

    Args:
        bridge: the network of the engine's default bridge.
        address_pools: where the engine takes other networks of the host from, each a /24.
        options: further ones; none that is set here is among them (settings/engine_options.py).
        on_btrfs: its data is on a disk that this program has prepared; else it chooses how it stores.
    """
    config: dict[str, object] = {
        **(options or {}),
        **({"storage-driver": "btrfs"} if on_btrfs else {}),
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "10"},
        "labels": [f"{key}={value}" for key, value in sorted(labels.items())],
    }
    if dns:
        config["dns"] = list(dns)
    if registry_mirrors:
        config["registry-mirrors"] = list(registry_mirrors)
    if insecure_registries:
        config["insecure-registries"] = list(insecure_registries)
    if bridge:
        network = ipaddress.IPv4Network(bridge)
        config["bip"] = f"{network.network_address + 1}/{network.prefixlen}"
    if address_pools:
        config["default-address-pools"] = [{"base": pool, "size": POOL_SIZE} for pool in address_pools]
    return json.dumps(config, indent=2, sort_keys=True)


def networks(config: str) -> dict[str, str]:
    """The networks that an engine with this daemon.json takes on its host, by the setting that moves them."""
    known = json.loads(config)
    bridge = str(ipaddress.IPv4Interface(known["bip"]).network) if "bip" in known else DEFAULT_BRIDGE
    pools = [pool["base"] for pool in known.get("default-address-pools", ())] or [DEFAULT_POOL]
    return {bridge: "engine.bridge"} | dict.fromkeys(pools, "engine.addressPools")


def bind_to_disk(places: Places | None = None) -> str:
    """Shell text for before the packages: the engine does not start while its disk is not mounted."""
    at = places or Places()
    return f"write_file {at.dropin} {words([DROPIN.rstrip()])}"


def configure(
    hostname: str, config: str, places: Places | None = None, *, locks: bool = False, before: str = ""
) -> str:
    """Shell text that writes `config` and leaves the engine running; prints the engine's version.

    Args:
        locks: the host is a manager of a swarm with autolock.
        before: shell text for before that, of engine_tls.py; empty for none.
    """
    at = places or Places()
    variables = assign(
        hostname=hostname,
        config=config,
        dropin_text=DROPIN.rstrip(),
        daemon_json=at.daemon_json,
        dropin=at.dropin,
        wants=at.wants,
        state=at.state,
    )
    overlap = host.refuse_engine_overlap(networks(config), hostname)
    listening = [before] if before else []
    return "\n".join((variables, start(hostname, locks=locks), *listening, overlap, _CONFIGURE))


def settle(
    hostname: str,
    *,
    manager: bool,
    ask: bool = True,
    replicated: Sequence[str] = (),
    places: Places | None = None,
    locks: bool = False,
) -> str:
    """Shell text that restarts the engine if `configure` left a note, and waits until the host is back.

    Before the restart the swarm is asked whether the other hosts are well: all nodes Ready, all managers
    reachable, every global service running on all its nodes. They are waited for, `OTHERS_WITHIN` seconds.

    Back is a host with as many healthy containers as before, and with a healthy one of each global service of
    which it has any, dead ones included: so etcd and Galera are there again after a reboot or a reload of the
    server. Galera's is healthy when its node is Synced. Run on one host after the other.

    Reads from standard input how often the server has been interrupted. If it was, the swarm is asked, too,
    which services have had tasks here: it takes dead containers away before it makes new ones. With `locks`,
    unlock keys may follow on further lines, for an engine that can't be asked for its own before its restart.

    Args:
        manager: whether the host may be asked which services there are; a worker's may have moved elsewhere.
        ask: ask for the others; False for whoever has done so in another way, because this engine can't say.
        replicated: services whose containers do not count: their tasks may come back on another host.
        locks: the host is a manager of a swarm with autolock.
    """
    at = places or Places()
    starting = start(hostname, locks=locks, required=True)
    variables = assign(
        hostname=hostname,
        state=at.state,
        manager=int(manager),
        ask=int(ask),
        patience=PATIENCE,
        others_within=OTHERS_WITHIN,
        down_within=DOWN_WITHIN,
    )
    if not replicated:
        return f"{variables}\n{starting}\n{body('engine_settle', those='')}"
    # In front, so that nothing of the text differs where there is no such service.
    stays = f"{assign(replicated=list(replicated))}\n{body('engine_stays')}"
    return f"{stays}\n{variables}\n{starting}\n{body('engine_settle', those=' | stays')}"


START = body("engine_start")
"""Shell text of the function that every start of an engine goes through."""


def start(hostname: str, *, locks: bool, required: bool = False) -> str:
    """`START`, after which a manager of a swarm with autolock (`locks`) is unlocked.

    Args:
        required: fail if it can't be.
    """
    return f"{START}\n{autolock.start_unlocked(hostname, required=required)}" if locks else START


_CONFIGURE = body("engine_configure")
