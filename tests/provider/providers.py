"""Providers as Pulumi runs them: configured from settings, over the real SDK, against the lab's API.

Owns: properties to start from and short ways to call a provider. Leaves to others: the API (conftest.py).
"""

from __future__ import annotations

from typing import Any, TypeVar

from pulumi.dynamic import Config, ConfigureRequest

from components.softlayer import guests
from components.softlayer.client import Api, Credentials
from components.softlayer.guest_seen import Guest
from components.softlayer.provider import SoftLayerProvider
from harness.lab_api import LabApi

P = TypeVar("P", bound=SoftLayerProvider)

OWNER = "swarm-galera/test/0123456789ab"
TAG = "swarm-galera-swarm-galera-test-0123456789ab"
GUEST: dict[str, Any] = {
    "owner": OWNER,
    "resource": "galera-1-guest",
    "hostname": "galera-1",
    "domain": "example.com",
    "datacenter": "tor01",
    "cores": 1.0,
    "memory": 2048.0,
    "disks": [25.0, 25.0],
    "os": "DEBIAN_LATEST",
    "hourly": True,
    "local_disk": True,
    "nic_speed": 100.0,
    "private_only": False,
    "tags": ["dockerhost"],
    "reload_token": "",
}


def settings_of(lab: LabApi, **settings: Any) -> dict[str, Any]:
    """The stack's settings by full key; further settings by keyword."""
    return {
        "swarm-galera:endpoint": lab.endpoint,
        "swarm-galera:username": lab.username,
        "swarm-galera:apiKey": lab.api_key,
        "swarm-galera:orderSettle": 0.3,
        **{f"swarm-galera:{key}": value for key, value in settings.items()},
    }


def configured(kind: type[P], lab: LabApi, **settings: Any) -> P:
    """A provider with the stack's settings, as the engine configures it; further settings by keyword."""
    provider = kind()
    provider.configure(ConfigureRequest(Config(settings_of(lab, **settings), "swarm-galera")))
    return provider


def api_of(lab: LabApi) -> Api:
    """A connection of the program's own kind."""
    return Api(Credentials(lab.username, lab.api_key, lab.endpoint))


def guest_of(lab: LabApi, id_: str) -> Guest:
    """The guest as the program reads it."""
    guest = guests.get(api_of(lab), int(id_))
    assert guest is not None
    return guest
