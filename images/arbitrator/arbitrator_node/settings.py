"""What the arbitrator is told from outside: environment, secret files, and options of the group.

Owns the reading, and the refusal of wrong values. Leaves to others: what is done with them (garbd.py).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
FILES = {"ca": "galera-ca.crt", "cert": "galera-server.crt", "key": "galera-server.key"}
"""Secrets by the end of Galera's option: as the nodes have them."""
SHARED = ("evs.", "gmcast.", "pc.")
"""Beginnings of the options that hold for a group, and so for the arbitrator, too."""
OWN = ("pc.weight", "pc.recovery", "gmcast.listen_addr")
"""Options among them that are each member's own."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message says what, why and the remedy."""


@dataclass(frozen=True)
class Settings:
    """One arbitrator's settings.

    Attributes:
        cluster: the group's name. peers: the DNS name that lists the nodes. subnet: of the overlay network.
        options: of the Galera library, that all members of the group have alike.
    """

    cluster: str
    peers: str
    subnet: IPv4Network
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Path = Path("/run/secrets")


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; raises SettingsError for the first that is missing or wrong."""
    cluster, peers = _need(environ, "CLUSTER_NAME"), _need(environ, "PEERS")
    if not NAME.fullmatch(cluster):
        raise SettingsError(f"CLUSTER_NAME={cluster!r} must be 1 to 63 letters, digits, '.', '_' or '-'.")
    try:
        subnet = IPv4Network(_need(environ, "SUBNET"))
    except ValueError as error:
        raise SettingsError(f"SUBNET: {error}. Give the overlay network, like 10.20.0.0/24.") from None
    secrets = Path(environ.get("SECRETS_DIR", "/run/secrets"))
    for name in FILES.values():
        if not os.access(secrets / name, os.R_OK):
            raise SettingsError(
                f"{secrets / name} is missing or not readable for user id {os.getuid()}: the nodes let "
                "nobody in without it. Attach the secret to the service."
            )
    path = Path(environ.get("PROVIDER", "/etc/arbitrator-node/provider.json"))
    return Settings(cluster, peers, subnet, shared(path.read_text()) if path.is_file() else {}, secrets)


def shared(text: str) -> dict[str, str]:
    """The options of a group from those of its nodes. Raises SettingsError."""
    try:
        told = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"the options of the group are not valid JSON: {error}.") from None
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise SettingsError(
            'the options of the group must be an object of texts, like {"evs.suspect_timeout": "PT5S"}.'
        )
    return {key: value for key, value in told.items() if key.startswith(SHARED) and key not in OWN}


def _need(environ: Mapping[str, str], key: str) -> str:
    value = environ.get(key, "").strip()
    if not value:
        raise SettingsError(f"{key} is not set. Set it in the service's environment.")
    return value
