"""Options of daemon.json that have no setting of their own (`engine.options`): which may be set, and to what.

An engine with an option that it does not know, or with a value of another type, does not start. So only those
are taken that engines from 20.10 on know. What the program itself sets, and what swarm mode or the services
rest on, is refused with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from settings.database.provider_options import size

_DISK = "the engine's data is kept in btrfs on the host's second disk"
_UNIT = "the engine's unit sets it, and with both the engine does not start"
_LOGS = "logs are kept bounded (10 files of 10 MB for each container), and `docker service logs` reads them"
_NETWORKS = "the swarm's networks rest on it"
_ACCESS = "engine.access says how the engine is reached"
REFUSED = {
    "bip": "engine.bridge sets it",
    "bridge": "engine.bridge says where the default bridge is",
    "cluster-advertise": "it belongs to what came before swarm mode",
    "cluster-store": "it belongs to what came before swarm mode",
    "containerd": _UNIT,
    "data-root": _DISK,
    "default-address-pools": "engine.addressPools sets it",
    "dns": "engine.dns sets it",
    "exec-root": _UNIT,
    "fixed-cidr": "engine.bridge says where the default bridge is",
    "graph": _DISK,
    "group": _UNIT,
    "hosts": _UNIT,
    "init": "the images bring a first process of their own",
    "insecure-registries": "engine.insecureRegistries sets it",
    "ip-forward": _NETWORKS,
    "ip-masq": _NETWORKS,
    "iptables": _NETWORKS,
    "labels": "engine.labels adds to them",
    "live-restore": "swarm mode refuses it",
    "log-driver": _LOGS,
    "log-opts": _LOGS,
    "pidfile": _UNIT,
    "registry-mirrors": "engine.registryMirrors sets it",
    "selinux-enabled": "the engine refuses it where its data is kept in btrfs",
    "storage-driver": _DISK,
    "storage-opts": _DISK,
    "swarm-default-advertise-addr": "each host is in the swarm with its private address",
    "tls": _ACCESS,
    "tlscacert": _ACCESS,
    "tlscert": _ACCESS,
    "tlskey": _ACCESS,
    "tlsverify": _ACCESS,
    "userns-remap": "the data of etcd and Galera belongs to the users of their images",
}


@dataclass(frozen=True)
class Kind:
    """A kind of value. words: how to say it. fits: whether a value is of it."""

    words: str
    fits: Callable[[Any], bool]


def _whole(least: int, most: int) -> Kind:
    return Kind(
        f"a whole number from {least} to {most}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most,
    )


def _one_of(*words: str) -> Kind:
    return Kind(" or ".join(words), lambda value: value in words)


def _ulimit(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == {"Name", "Soft", "Hard"}
        and all(isinstance(value[name], int) for name in ("Soft", "Hard"))
        and (value["Soft"] <= value["Hard"] or value["Hard"] == -1)
    )


SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
TEXTS = Kind(
    "a list of texts",
    lambda value: isinstance(value, list) and all(isinstance(each, str) and each for each in value),
)
SHARED_MEMORY = Kind(
    "a size of 64M, the engine's own, or more",
    lambda value: isinstance(value, str) and (size(value) or 0) >= 64 << 20,
)
RESOLVER = Kind(
    "a list of texts without ndots (services find each other by short names, which are asked as they are)",
    lambda value: TEXTS.fits(value) and not any(each.startswith("ndots") for each in value),
)
FEATURES = Kind(
    "{buildkit: true} or {buildkit: false}",
    lambda value: (
        isinstance(value, Mapping) and set(value) == {"buildkit"} and SWITCH.fits(value["buildkit"])
    ),
)
ULIMITS = Kind(
    "a map like {nofile: {Name: nofile, Soft: 65536, Hard: 65536}}",
    lambda value: (
        isinstance(value, Mapping)
        and all(_ulimit(each) and each["Name"] == name for name, each in value.items())
    ),
)
ADDRESS = Kind(
    "an address and a port, like 127.0.0.1:9323",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"[\d.]+:\d{1,5}", value)),
)
ALLOWED = {
    "allow-nondistributable-artifacts": TEXTS,
    "debug": SWITCH,
    "default-cgroupns-mode": _one_of("host", "private"),
    "default-ipc-mode": _one_of("private", "shareable"),
    "default-shm-size": SHARED_MEMORY,
    "default-ulimits": ULIMITS,
    "dns-opts": RESOLVER,
    "dns-search": TEXTS,
    "experimental": SWITCH,
    "features": FEATURES,
    "icc": SWITCH,
    "log-level": _one_of("debug", "info", "warn", "error", "fatal"),
    "max-concurrent-downloads": _whole(1, 100),
    "max-concurrent-uploads": _whole(1, 100),
    "max-download-attempts": _whole(1, 100),
    "metrics-addr": ADDRESS,
    "mtu": _whole(576, 9000),
    "network-control-plane-mtu": _whole(576, 9000),
    "node-generic-resources": TEXTS,
    "oom-score-adjust": _whole(-1000, 1000),
    "raw-logs": SWITCH,
    "shutdown-timeout": _whole(1, 3600),
    "userland-proxy": SWITCH,
}


def problems(options: Mapping[str, Any]) -> Iterable[str]:
    """Why options can't be set, one line each, with the remedy."""
    for name, value in sorted(options.items()):
        if name in REFUSED:
            yield f"{name}: {REFUSED[name]}. Remedy: remove it"
        elif name not in ALLOWED:
            yield (
                f"{name}: it is not among the options that can be set, and an engine does not start with one "
                f"that it does not know. Remedy: correct or remove it (known: {', '.join(ALLOWED)})"
            )
        elif not ALLOWED[name].fits(value):
            yield f"{name}: {value!r} is refused. Remedy: give {ALLOWED[name].words}"
