"""The accounts of a cluster, as statements: made once by the first node, with the passwords of the secrets.

Pure text. A new cluster gets, in this order: `accounts`, the initial SQL files, `application`. Statements are
replicated like any other. The node itself and mariadb-backup come in as the system's user `mysql` over the
socket: nothing inside a node needs a password, whichever secrets it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from .settings import Settings
from .store import Facts

Statement = tuple[str, tuple[str, ...]]  # with %s for each parameter
ABSENCE = 60.0  # seconds that new passwords wait for a member that is away: it may only be restarting
STORED = "SELECT User, Host, Priv FROM mysql.global_priv"


def native_hash(password: str) -> str:
    """MariaDB's stored form of a password (mysql_native_password).

    Statements are replicated as text and stay in galera.cache: they must not hold the password itself.
    """
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


@dataclass(frozen=True)
class Account:
    """An account with its password's stored form. `socket`: the system's user of that name needs none."""

    user: str
    host: str
    hash: str
    socket: bool = False

    def statement(self, verb: str) -> Statement:
        """`CREATE USER` or `ALTER USER`."""
        way = "unix_socket OR mysql_native_password" if self.socket else "mysql_native_password"
        return f"{verb} %s@%s IDENTIFIED VIA {way} USING %s", (self.user, self.host, self.hash)


def with_passwords(settings: Settings) -> list[Account]:
    """All accounts with a password.

    `root` locally and from the cluster's network; `monitor` without any right but to connect and read the
    status; the application's, named as its database.
    """
    root, monitor, app = (
        native_hash(settings.secret(f"galera-{name}-password")) for name in ("root", "monitor", "app")
    )
    network = f"{settings.subnet.network_address}/{settings.subnet.netmask}"
    return [
        Account("root", "localhost", root, socket=True),
        Account("root", network, root),
        Account("monitor", "%", monitor),
        Account(settings.database, "%", app),
    ]


def accounts(settings: Settings) -> list[Statement]:
    """The accounts of a new cluster and its database, without the application's account."""
    local, remote, monitor, _ = with_passwords(settings)
    return [
        local.statement("ALTER USER"),
        remote.statement("CREATE USER"),
        ("GRANT ALL PRIVILEGES ON *.* TO %s@%s WITH GRANT OPTION", (remote.user, remote.host)),
        monitor.statement("CREATE USER"),
        (f"CREATE DATABASE `{settings.database}`", ()),
    ]


def application(settings: Settings) -> list[Statement]:
    """The application's account. The last step: before it, no client can come."""
    *_, app = with_passwords(settings)
    return [
        app.statement("CREATE USER"),
        (f"GRANT ALL PRIVILEGES ON `{settings.database}`.* TO %s@%s", (app.user, app.host)),
    ]


def outdated(settings: Settings, stored: Iterable[tuple[str, ...]]) -> list[Account]:
    """Accounts whose password is another than the secret's. `stored`: rows of `STORED`.

    One that somebody has dropped is not made anew.
    """
    known = {(user, host): privileges for user, host, privileges in stored}
    return [
        account
        for account in with_passwords(settings)
        if (account.user, account.host) in known and account.hash not in known[account.user, account.host]
    ]


def fingerprint(settings: Settings) -> str:
    """Tells whether two nodes have the same passwords, and nothing else: of all together, 48 bits."""
    hashes = "".join(account.hash for account in with_passwords(settings))
    return hashlib.sha256(f"{settings.cluster} {hashes}".encode()).hexdigest()[:12]


def agreed(mine: str, facts: Facts) -> bool:
    """Whether all nodes present have the passwords with this fingerprint.

    While old and new ones are there, the accounts keep what they have: clients have the old ones too.
    """
    return {facts.passwords.get(name) for name in facts.present} == {mine}


def may_change(facts: Facts, seconds: float) -> bool:
    """Whether to act on what all present nodes have agreed on for so long: a member may be away."""
    return facts.nodes.keys() <= facts.present.keys() or seconds >= ABSENCE
