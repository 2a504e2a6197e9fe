"""What a node is told from outside: environment and secret files.

Owns the reading and the refusal of wrong values. Passwords are read when they are needed and never kept
in a settings object, so that none can reach a log through one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from urllib.parse import urlsplit

SECRETS = ("galera-root-password", "galera-monitor-password", "galera-app-password")
FORMER = "-former"
"""Ends the name of the optional secret with the password that counts beside the one of SECRETS."""
TLS_SECRETS = ("galera-ca.crt", "galera-server.crt", "galera-server.key")
"""Optional, all three or none: see `tls`."""
STORES = ("etcd", "consul")
"""Schemes of STORE, each a kind of store (`stores`)."""
VERSION = Path(__file__).with_name("mariadb-version")
"""Of the image's server, written when the image is built."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class SettingsError(Exception):
    """A setting is missing or wrong; the message says what, why and the remedy."""


@dataclass(frozen=True)
class Settings:
    """One node's settings.

    `peers` is the DNS name that lists the service's tasks. `store` is the key-value store's URL. `subnet` is
    the overlay network whose address the node uses. `start_period` (seconds) must be the container's health
    check start period: see `health`. `members`: names of the nodes that are expected, if they are told; only
    for words. `stop_grace`: seconds that the engine gives the container to stop. `port`: at which clients of
    other hosts reach this node, for a store with a catalog. `version`: of the image's server, like 11.8.
    `upgrade_to`: the version that may take over data of an older one, empty for none.
    """

    node: str
    cluster: str
    size: int
    peers: str
    store: str
    subnet: IPv4Network
    database: str
    data_dir: Path = Path("/var/lib/mysql")
    run_dir: Path = Path("/dev/shm/galera-node")
    socket: Path = Path("/run/mysqld/mysqld.sock")
    secrets: Path = Path("/run/secrets")
    initdb: Path = Path("/docker-entrypoint-initdb.d")
    bundle: Path = Path("/etc/galera-node/initdb.tar.gz")
    seed_archive: Path = Path("/usr/local/lib/galera-node/seed.tar.gz")
    start_period: float = 300.0
    members: tuple[str, ...] = ()
    stop_grace: float = 60.0
    port: int = 3306
    version: str = ""
    upgrade_to: str = ""

    @property
    def encrypted(self) -> bool:
        """Whether this node speaks TLS."""
        return (self.secrets / TLS_SECRETS[1]).exists()

    def secret(self, name: str) -> str:
        """The content of a secret file without its line end. Raises SettingsError."""
        return one_line(self.secrets / name)

    def former(self, name: str) -> str:
        """The password before the one in the secret `name`, while it counts as well; empty for none."""
        path = self.secrets / f"{name}{FORMER}"
        return one_line(path) if path.exists() else ""


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; raises SettingsError for the first that is missing or wrong."""
    size = _need(environ, "CLUSTER_SIZE")
    if not size.isdigit() or not 1 <= int(size) <= 127:
        raise SettingsError(f"CLUSTER_SIZE={size!r} must be the number of Galera nodes, 1 to 127.")
    try:
        subnet = IPv4Network(_need(environ, "SUBNET"))
    except ValueError as error:
        raise SettingsError(
            f"SUBNET: {error}. Give the overlay network as address/prefix, e.g. 10.20.0.0/24."
        ) from None
    store = store_address(_need(environ, "STORE"))
    database = environ.get("DATABASE", "app").strip()
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", database):
        raise SettingsError(f"DATABASE={database!r} must be 1 to 64 letters, digits or '_'.")
    period, grace = environ.get("START_PERIOD", "300"), environ.get("STOP_GRACE", "60")
    for key, seconds in (("START_PERIOD", period), ("STOP_GRACE", grace)):
        if not seconds.isdigit():
            raise SettingsError(f"{key}={seconds!r} must be a number of seconds.")
    members = tuple(filter(None, (part.strip() for part in environ.get("MEMBERS", "").split(","))))
    for member in members:
        if not NAME.fullmatch(member):
            raise SettingsError(
                f"MEMBERS: {member!r} is no name of a node. Give the names, separated by commas."
            )
    port = environ.get("DB_PORT", "3306")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingsError(f"DB_PORT={port!r} must be the number of a port.")
    defaults = Settings
    settings = Settings(
        node=_name(environ, "NODE_NAME"),
        cluster=_name(environ, "CLUSTER_NAME"),
        size=int(size),
        peers=_need(environ, "PEERS"),
        store=store,
        subnet=subnet,
        database=database,
        data_dir=Path(environ.get("DATA_DIR", str(defaults.data_dir))),
        run_dir=Path(environ.get("RUN_DIR", str(defaults.run_dir))),
        secrets=Path(environ.get("SECRETS_DIR", str(defaults.secrets))),
        start_period=float(period),
        members=members,
        stop_grace=float(grace),
        port=int(port),
        version=own_version(),
        upgrade_to=environ.get("UPGRADE_TO", "").strip(),
    )
    for secret in SECRETS:
        settings.secret(secret)
        settings.former(secret)
    return settings


def own_version() -> str:
    """The version of the image's server; empty where this program runs in no image."""
    return VERSION.read_text().strip() if VERSION.is_file() else ""


def one_line(path: Path) -> str:
    """The content of a secret file without its line end. Raises SettingsError."""
    try:
        value = path.read_text().rstrip("\r\n")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read by user id {os.getuid()} ({error.strerror}). Attach the secret "
            f"{path.name!r} to the service, readable for that user (mode 0444 or its uid)."
        ) from None
    if not value or "\n" in value or "\0" in value:
        raise SettingsError(f"{path} must hold one line that is not empty. Create the secret anew.")
    return value


def store_address(store: str) -> str:
    """The store's URL as it is given. Raises SettingsError for one of no store that this image knows."""
    url = urlsplit(store)
    if url.scheme not in STORES or not url.hostname:
        known = " or ".join(f"{scheme}://host:port" for scheme in STORES)
        raise SettingsError(f"STORE={store!r} is not a store this image knows. Give {known}.")
    return store


def _need(environ: Mapping[str, str], key: str) -> str:
    value = environ.get(key, "").strip()
    if not value:
        raise SettingsError(f"{key} is not set. Set it in the service's environment.")
    return value


def _name(environ: Mapping[str, str], key: str) -> str:
    value = _need(environ, key)
    if not NAME.fullmatch(value):
        raise SettingsError(
            f"{key}={value!r} must be 1 to 63 letters, digits, '.', '_' or '-', and begin with a letter "
            "or digit."
        )
    return value
