"""Which store the node has: from the settings to the class that speaks its language.

Owns: the choice by STORE's scheme, and this node's certificate for it. Leaves to others: the connection
(`wire`), the stores themselves (`etcd`, `consul`).

What is asked from a shell in the container (`galera-node status`) is chosen in the same way, from the same
environment.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .announcement import Announcement, Answers
from .consul import ConsulStore, gateway
from .etcd import EtcdStore
from .network import Names
from .settings import Settings, SettingsError, one_line, store_address
from .store import Store
from .wire import Wire

CA, CERTIFICATE, KEY, TOKEN = "store-ca.crt", "store-client.crt", "store-client.key", "store-token"
"""Secrets: whom the node trusts, what it shows, and the password or token that it has in the store."""
CONSUL_PORT, CONSUL_NAME = 8501, "localhost"
"""Every agent shows the same certificate; that it is an agent's, not which, is what counts."""
ROUTES = Path("/proc/net/route")


def store_of(settings: Settings, names: Names, timeout: float = 5.0) -> Store:
    """The node's store, not asked yet. `timeout` in seconds for one request. Raises SettingsError."""
    return made(settings.store, settings.cluster, settings.secrets, names, timeout)


def store_here(environ: Mapping[str, str] = os.environ) -> Store:
    """The same for a command that a person types in the container. Raises SettingsError."""
    secrets = Path(environ.get("SECRETS_DIR", "/run/secrets"))
    return made(environ.get("STORE", ""), environ.get("CLUSTER_NAME", ""), secrets, Names())


def made(store: str, cluster: str, secrets: Path, names: Names, timeout: float = 5.0) -> Store:
    """The store at the URL `store`. Raises SettingsError for one that is not known, and for bad secrets."""
    url = urlsplit(store_address(store))
    context, own = trust(secrets), secrets / CERTIFICATE
    if url.scheme == "consul":
        place = agent(url.hostname or ""), url.port or CONSUL_PORT
        wire = Wire("Consul", *place, names, timeout, context, CONSUL_NAME, own)
        return ConsulStore(wire, cluster, one_line(secrets / TOKEN))
    wire = Wire("etcd", url.hostname or "", url.port or 2381, names, timeout, context, own=own)
    return EtcdStore(wire, cluster, one_line(secrets / TOKEN))


def agent(host: str) -> str:
    """Where the agent is: `gateway` stands for the container's own host. Raises SettingsError."""
    if host != "gateway":
        return host
    found = gateway(ROUTES.read_text())
    if found is None:
        raise SettingsError(
            "STORE names the container's gateway, and this container has no default route. Attach the "
            "service to a network through which it reaches its host, or name the store's host in STORE."
        )
    return found


def announced(settings: Settings, store: Store, endpoints: Answers) -> Announcement | None:
    """What tells the store's own catalog of this node; None for a store that has none."""
    if isinstance(store, ConsulStore):
        return Announcement(store.client, endpoints, settings.port)
    return None


def trust(secrets: Path) -> ssl.SSLContext:
    """TLS that shows this node's certificate and trusts the stack's authority alone. Raises SettingsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(secrets / CA)
        context.load_cert_chain(secrets / CERTIFICATE, secrets / KEY)
    except OSError as error:
        # ssl.SSLError is one, too, and names no file.
        raise SettingsError(
            f"{secrets}/{CA}, {CERTIFICATE} or {KEY} cannot be used ({error}). Attach these secrets to the "
            "service, readable for this user; the key must be that of the certificate."
        ) from None
    return context
