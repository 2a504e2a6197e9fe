"""What a member is told from outside: environment, secret files, and the services that it announces.

Owns the reading and the refusal of wrong values. Leaves to others what is done with them (`config`). Secrets
are read when they are needed, so that none can reach a log through a settings object.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
FILES = ("consul-ca.crt", "consul.crt", "consul.key")
CERTIFICATES = FILES[:2]
CLIENT_CA = "consul-client-ca.crt"  # optional: the authority of clients, where it is another one
GOSSIP_KEY = "consul-gossip-key"
MANAGEMENT, AGENT, GALERA, CONSUMER = (
    "consul-management-token",
    "consul-agent-token",
    "store-token",
    "consul-consumer-token",
)
TOKENS = (MANAGEMENT, AGENT, GALERA, CONSUMER)


class SettingsError(Exception):
    """A setting is missing or wrong; the message says what, why and the remedy."""


@dataclass(frozen=True)
class Service:
    """A service that is announced on this host. `check`: as Consul's configuration calls its parts."""

    name: str
    port: int
    check: Mapping[str, str]


@dataclass(frozen=True)
class Settings:
    """One member's settings.

    `hosts` maps the names of all hosts to their private addresses, in order; the first `servers` of them keep
    the records, the others ask these. `bridge`: the interface by which containers reach their host; empty for
    none. `recursors`: who is asked for names that are not Consul's.
    """

    name: str
    hosts: Mapping[str, str]
    servers: int
    token: str
    datacenter: str
    recursors: tuple[str, ...] = ()
    bridge: str = "docker_gwbridge"
    data_dir: Path = Path("/var/lib/consul")
    run_dir: Path = Path("/dev/shm/consul-member")
    secrets: Path = Path("/run/secrets")
    services: tuple[Service, ...] = field(default=())
    announced: tuple[str, ...] = field(default=())
    """Names of all services of the stack, whichever host they are on."""

    @property
    def address(self) -> str:
        """This host's private address."""
        return self.hosts[self.name]

    @property
    def server_names(self) -> tuple[str, ...]:
        """The hosts that keep the records."""
        return tuple(self.hosts)[: self.servers]

    @property
    def is_server(self) -> bool:
        """Whether this host is one of them."""
        return self.name in self.server_names

    def secret(self, name: str) -> str:
        """The content of a secret file without its line end. Raises SettingsError."""
        path = self.secrets / name
        try:
            return path.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"{path} cannot be read by user id {os.getuid()} ({error.strerror}). Attach the secret "
                f"{name!r} to the service, readable for that user (mode 0444 or its uid)."
            ) from None

    @property
    def authorities(self) -> tuple[Path, ...]:
        """The files of those whose clients are let in."""
        own, clients = self.secrets / FILES[0], self.secrets / CLIENT_CA
        return (own, clients) if clients.is_file() else (own,)


def parse_hosts(text: str) -> dict[str, str]:
    """Reads `name=address,…`; raises SettingsError with the offending part."""
    hosts: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, address = part.partition("=")
        if not NAME.fullmatch(name) or not _is_address(address):
            raise SettingsError(
                f"CONSUL_HOSTS: {part!r} is not name=address. Give each host's private address."
            )
        if name in hosts or address in hosts.values():
            raise SettingsError(f"CONSUL_HOSTS: {part!r} names a host or an address twice. Give each once.")
        hosts[name] = address
    return hosts


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def parse_services(text: str, name: str, address: str) -> tuple[tuple[Service, ...], tuple[str, ...]]:
    """The services of host `name`, and the names of all; raises SettingsError.

    `text`: a JSON list of {"name", "port", "check", "hosts"}; without "hosts" on all. `{address}` in a check
    is the host's own.
    """
    try:
        listed: list[dict[str, Any]] = json.loads(text)
        here = tuple(
            Service(
                each["name"],
                int(each["port"]),
                {key: str(value).replace("{address}", address) for key, value in each["check"].items()},
            )
            for each in listed
            if name in each.get("hosts", (name,))
        )
        names = tuple(sorted({str(each["name"]) for each in listed}))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"services.json is not a list of services with name, port and check ({error!r}). Write it anew."
        ) from None
    for each in names:
        if not NAME.fullmatch(each):
            raise SettingsError(
                f"services.json: {each!r} cannot be a name in DNS. Use letters, digits and '-'."
            )
    return here, names


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; raises SettingsError for the first that is missing or wrong."""
    hosts, name = parse_hosts(_need(environ, "CONSUL_HOSTS")), _need(environ, "NODE_NAME")
    if name not in hosts:
        raise SettingsError(
            f"CONSUL_HOSTS does not name this host, {name}: the service has yet to learn its address. "
            "The next `pulumi up` tells it."
        )
    servers = _need(environ, "CONSUL_SERVERS")
    if servers not in ("1", "3", "5") or int(servers) > len(hosts):
        raise SettingsError(
            f"CONSUL_SERVERS={servers!r} must be 1, 3 or 5, and not more than there are hosts."
        )
    datacenter = _need(environ, "DATACENTER")
    if not re.fullmatch(r"[a-z0-9_-]+", datacenter):
        raise SettingsError(f"DATACENTER={datacenter!r} must be lower case letters, digits, '-' or '_'.")
    recursors = tuple(filter(None, (part.strip() for part in environ.get("RECURSORS", "").split(","))))
    for each in recursors:
        if not _is_address(each) or ip_address(each).is_loopback or each == hosts[name]:
            raise SettingsError(f"RECURSORS: {each!r} is not the address of another resolver. Give such.")
    listed = Path(environ.get("SERVICES", "/etc/consul-member/services.json"))
    here, names = parse_services(listed.read_text(), name, hosts[name]) if listed.is_file() else ((), ())
    settings = Settings(
        name=name,
        hosts=hosts,
        servers=int(servers),
        token=_need(environ, "CLUSTER_TOKEN"),
        datacenter=datacenter,
        recursors=recursors,
        bridge=environ.get("GATEWAY_BRIDGE", Settings.bridge).strip(),
        data_dir=Path(environ.get("DATA_DIR", str(Settings.data_dir))),
        run_dir=Path(environ.get("RUN_DIR", str(Settings.run_dir))),
        secrets=Path(environ.get("SECRETS_DIR", str(Settings.secrets))),
        services=here,
        announced=names,
    )
    _check_secrets(settings)
    return settings


def _need(environ: Mapping[str, str], key: str) -> str:
    value = environ.get(key, "").strip()
    if not value:
        raise SettingsError(f"{key} is not set. Set it in the service's environment.")
    return value


def _check_secrets(settings: Settings) -> None:
    for name in FILES:
        if not settings.secret(name):
            raise SettingsError(f"The secret {name!r} is empty. Create it anew.")
    try:
        length = len(base64.b64decode(settings.secret(GOSSIP_KEY), validate=True))
    except binascii.Error:
        length = 0
    if length != 32:
        raise SettingsError(f"The secret {GOSSIP_KEY!r} must be 32 bytes in base64. Create it anew.")
    tokens = [settings.secret(name) for name in TOKENS]
    for name, token in zip(TOKENS, tokens, strict=True):
        try:
            canonical = str(uuid.UUID(token)) == token
        except ValueError:
            canonical = False
        if not canonical:
            raise SettingsError(f"The secret {name!r} must be a UUID, in lower case. Create it anew.")
    if len(set(tokens)) != len(tokens):
        raise SettingsError("Two of the secrets with Consul's tokens are the same. Create one of them anew.")
