"""The accounts of a new cluster, as statements: made once, by the first node, and replicated like any other.

Pure text. `supervisor` runs them, in this order: `accounts`, the initial SQL files, `application`.
"""

from __future__ import annotations

import hashlib

from .settings import Settings

Statement = tuple[str, tuple[str, ...]]  # with %s for each parameter


def native_hash(password: str) -> str:
    """MariaDB's stored form of a password (mysql_native_password).

    Statements are replicated as text and stay in galera.cache: they must not hold the password itself.
    """
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def accounts(settings: Settings) -> list[Statement]:
    """The accounts of a new cluster, as statements with parameters, without the application's.

    `root` by password from the cluster's network and by the system user locally; `sst` locally, for
    mariadb-backup; `monitor` without any right but to connect and read the status.
    """
    root, sst, monitor = (
        native_hash(settings.secret(f"galera-{name}-password")) for name in ("root", "sst", "monitor")
    )
    network = f"{settings.subnet.network_address}/{settings.subnet.netmask}"
    return [
        ("ALTER USER root@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING %s", (root,)),
        ("CREATE USER root@%s IDENTIFIED BY PASSWORD %s", (network, root)),
        ("GRANT ALL PRIVILEGES ON *.* TO root@%s WITH GRANT OPTION", (network,)),
        ("CREATE USER sst@localhost IDENTIFIED BY PASSWORD %s", (sst,)),
        ("GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, REPLICA MONITOR ON *.* TO sst@localhost", ()),
        ("CREATE USER monitor@'%%' IDENTIFIED BY PASSWORD %s", (monitor,)),
        (f"CREATE DATABASE `{settings.database}`", ()),
    ]


def application(settings: Settings) -> list[Statement]:
    """The application's account, named as its database. The last step: before it, no client can come."""
    name = settings.database
    return [
        (
            f"CREATE USER `{name}`@'%%' IDENTIFIED BY PASSWORD %s",
            (native_hash(settings.secret("galera-app-password")),),
        ),
        (f"GRANT ALL PRIVILEGES ON `{name}`.* TO `{name}`@'%%'", ()),
    ]
