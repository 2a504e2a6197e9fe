"""The `docker … create` lines that people type for etcd and Galera: pure, settings in, words out.

Owns: the same services as components/etcd.py and components/galera.py make, in the command line's words. The
bench compares what the engine made of both, so that neither can drift from the other.
Leaves to others: the order in which they are typed (by_hand.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from components import etcd, galera
from components.services import KEEPALIVE, health_check, one_at_a_time, restart_always
from settings import Settings

ETCD_SECRETS = ("etcd-peer-ca.crt", "etcd-peer.crt", "etcd-peer.key")
GALERA_USERS = ("root", "monitor", "app")


def network(settings: Settings) -> str:
    """The overlay network."""
    words = ["docker", "network", "create", "--driver", "overlay", "--attachable"]
    words += ["--subnet", settings.network.subnet]
    words += ["--opt", "encrypted"] if settings.network.encrypted else []
    return shlex.join([*words, settings.network.name])


def secret(name: str) -> str:
    """A secret whose content is on standard input."""
    return shlex.join(["docker", "secret", "create", name, "-"])


def config(name: str) -> str:
    """A config whose content is on standard input."""
    return shlex.join(["docker", "config", "create", name, "-"])


def etcd_service(settings: Settings, addresses: Mapping[str, str], token: str) -> str:
    """etcd. Args: addresses: private address by manager. token: any word."""
    cluster = ",".join(f"{host}=https://{ip}:{etcd.PEER_PORT}" for host, ip in addresses.items())
    env = {"NODE_NAME": "{{.Node.Hostname}}", "ETCD_INITIAL_CLUSTER": cluster, "CLUSTER_TOKEN": token}
    port = f"mode=host,protocol=tcp,target={etcd.PEER_PORT},published={etcd.PEER_PORT}"
    return _service(
        settings,
        etcd.SERVICE,
        settings.discovery.image,
        env,
        ETCD_SECRETS,
        volume="etcd-data:/var/lib/etcd",
        constraint="node.role==manager",
        monitor=20,
        start_period=120,
        more=["--publish", port, "--stop-grace-period", "30s"],
    )


def galera_service(settings: Settings, configs: Mapping[str, str]) -> str:
    """Galera. Args: configs: path in the container by name of the config."""
    env = {
        "NODE_NAME": "{{.Node.Hostname}}",
        "CLUSTER_NAME": settings.galera.cluster_name,
        "CLUSTER_SIZE": str(len(settings.servers.manager_names)),
        "PEERS": f"tasks.{galera.SERVICE}",
        "STORE": etcd.Etcd.url,
        "SUBNET": settings.network.subnet,
        "DATABASE": settings.galera.database,
        "START_PERIOD": str(galera.START_PERIOD),
    }
    files = [
        word
        for name, path in configs.items()
        for word in ("--config", f"source={name},target={path},mode=0444")
    ]
    return _service(
        settings,
        galera.SERVICE,
        settings.galera.image,
        env,
        [f"galera-{user}-password" for user in GALERA_USERS],
        volume="galera-data:/var/lib/mysql",
        constraint=f"node.labels.{galera.LABEL}==true",
        monitor=30,
        start_period=galera.START_PERIOD,
        more=[*files, "--stop-grace-period", f"{settings.galera.stop_grace}s"],
    )


def _service(
    settings: Settings,
    name: str,
    image: str,
    env: Mapping[str, str],
    secrets: Sequence[str],
    *,
    volume: str,
    constraint: str,
    monitor: int,
    start_period: int,
    more: Sequence[str],
) -> str:
    """What both services have in common; the health check's command is the image's."""
    source, target = volume.split(":")
    words = ["docker", "service", "create", "--detach", "--quiet", "--no-resolve-image"]
    words += [
        "--name",
        name,
        "--mode",
        "global",
        "--network",
        settings.network.name,
        "--endpoint-mode",
        "vip",
    ]
    words += ["--mount", f"type=volume,source={source},target={target}", "--constraint", constraint]
    health, restart, update = health_check(name, start_period), restart_always(), one_at_a_time(monitor)
    for option, value in {
        "health-interval": health.interval,
        "health-timeout": health.timeout,
        "health-retries": health.retries,
        "health-start-period": health.start_period,
        "restart-condition": restart.condition,
        "restart-delay": restart.delay,
        "update-parallelism": update.parallelism,
        "update-delay": update.delay,
        "update-order": update.order,
        "update-failure-action": update.failure_action,
        "update-max-failure-ratio": update.max_failure_ratio,
        "update-monitor": update.monitor,
    }.items():
        words += [f"--{option}", str(value)]
    words += more
    for key, value in KEEPALIVE.items():
        words += ["--sysctl", f"{key}={value}"]
    for key, value in env.items():
        words += ["--env", f"{key}={value}"]
    for file in secrets:
        words += ["--secret", f"source={file},target={file},mode=0444"]
    return shlex.join([*words, image])
