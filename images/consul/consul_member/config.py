"""The agent's configuration, from the member's settings alone, and where it is written.

Owns every option of Consul that this image sets, and why. Leaves to others: the agent's life (`supervise`),
the rights of tokens (`rights`).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

from .settings import AGENT, FILES, GOSSIP_KEY, MANAGEMENT, Settings

HTTPS, DNS, SERF, RPC = 8501, 53, 8301, 8300
SIOCGIFADDR = 0x8915  # of linux/sockios.h: an interface's IPv4 address


def bridge_address(interface: str) -> str | None:
    """The IPv4 address of an interface of this host; None while there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            found = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(found[20:24])


def configuration(settings: Settings, gateway: str | None) -> dict[str, Any]:
    """The configuration of this member's agent.

    `gateway`: the address at which containers reach their host; None for none.
    """
    inside = ["127.0.0.1", *([gateway] if gateway else [])]
    everywhere = list(dict.fromkeys([*inside, settings.address]))
    others = [settings.hosts[name] for name in settings.server_names if name != settings.name]
    made: dict[str, Any] = {
        "node_name": settings.name,
        "node_meta": {"stack": settings.token},
        "datacenter": settings.datacenter,
        "data_dir": str(settings.data_dir),
        "server": settings.is_server,
        "bind_addr": settings.address,
        "advertise_addr": settings.address,
        "retry_join": others,
        "retry_interval": "3s",
        # A member that restarts comes back: who leaves for good is told so by `forget`.
        "leave_on_terminate": False,
        "skip_leave_on_interrupt": True,
        "rejoin_after_leave": True,
        "addresses": {"https": " ".join(inside), "dns": " ".join(everywhere)},
        "ports": {
            **dict.fromkeys(("http", "grpc", "grpc_tls", "serf_wan"), -1),
            "https": HTTPS,
            "dns": DNS,
            "serf_lan": SERF,
            "server": RPC,
        },
        "recursors": list(settings.recursors),
        "dns_config": {"enable_truncate": True},
        "encrypt": settings.secret(GOSSIP_KEY),
        "disable_keyring_file": True,  # the secret is the one truth, and stays in memory
        "tls": tls(settings),
        "acl": access(settings),
        "services": services(settings),
        "connect": {"enabled": False},
        "ui_config": {"enabled": False},
        "disable_remote_exec": True,
        "disable_update_check": True,
        # Elections as fast as etcd's are here (docs/adr/0006-store-members.md): 3 s without the leader.
        "performance": {"raft_multiplier": 3},
        "log_level": "warn",
    }
    if settings.is_server:
        made["bootstrap_expect"] = settings.servers
        # A server that is off keeps its vote, so that after a power cut any majority of all goes on.
        made["autopilot"] = {"cleanup_dead_servers": False}
    return made


def tls(settings: Settings) -> dict[str, Any]:
    """Both sides show a certificate, on every port but DNS."""
    authority, certificate, key = (str(settings.secrets / name) for name in FILES)
    return {
        "defaults": {
            "ca_file": authority,
            "cert_file": certificate,
            "key_file": key,
            "verify_incoming": True,
            "verify_outgoing": True,
        },
        # Only who has the servers' certificate can be a server.
        "internal_rpc": {"verify_server_hostname": True},
        "https": {"ca_file": str(settings.run_dir / "clients.crt")},
    }


def access(settings: Settings) -> dict[str, Any]:
    """Nobody may do anything that a token does not say."""
    tokens = {"agent": settings.secret(AGENT), "config_file_service_registration": settings.secret(AGENT)}
    if settings.is_server:
        tokens["initial_management"] = settings.secret(MANAGEMENT)
    return {
        "enabled": True,
        "default_policy": "deny",
        "down_policy": "extend-cache",
        # What an agent remembers of a token, also that it does not exist: a new one counts this much later.
        "token_ttl": "10s",
        "tokens": tokens,
    }


def services(settings: Settings) -> list[dict[str, Any]]:
    """The services of this host, each with its check."""
    return [
        {
            "id": each.name,
            "name": each.name,
            "address": settings.address,
            "port": each.port,
            "checks": [dict(each.check)],
        }
        for each in settings.services
    ]


def write(settings: Settings, gateway: str | None) -> Path:
    """Writes what the agent reads at its start, in memory and for its user alone; the path of it."""
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    clients = "".join(path.read_text().rstrip() + "\n" for path in settings.authorities)
    _write(settings.run_dir / "clients.crt", clients)
    path = settings.run_dir / "config.json"
    _write(path, json.dumps(configuration(settings, gateway)))
    return path


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
