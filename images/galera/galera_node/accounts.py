"""The accounts of a cluster, as statements: made once by the first node, with the passwords of the secrets.

Pure text. A new cluster gets, in this order: `accounts`, the initial SQL files, `application`. The
application's account is there for the initial SQL, which may grant it more, but locked. Statements are
replicated like any other. The node itself and mariadb-backup come in as the system's user `mysql` over the
socket: nothing inside a node needs a password, whichever secrets it has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .settings import Settings
from .store import Facts

Statement = tuple[str, tuple[str, ...]]  # with %s for each parameter
ABSENCE = 60.0  # seconds that new passwords wait for a member that is away: it may only be restarting
STORED = "SELECT User, Host, Priv FROM mysql.global_priv"
HASH = re.compile(r"\*[0-9A-F]{40}")
NETWORK = re.compile(r"\d+(\.\d+){3}/\d+(\.\d+){3}")
TLS_NEEDED = re.compile(r'"ssl_type":\s*[1-9]')
DEFINER = ("root", "%")
NO_PASSWORD = "*THISISNOTAVALIDPASSWORDTHATCANBEUSEDHERE"  # noqa: S105 - as MariaDB writes it: no password has that hash

OVERLAP = "*THEFORMERPASSWORDCOUNTSASWELLFORALITTLEX"
"""In an account whose former password counts as well: a stored form that no password has. It comes with the
data, so that each node knows later that the former one is this program's, and may go."""


def native_hash(password: str) -> str:
    """MariaDB's stored form of a password (mysql_native_password).

    Statements are replicated as text and stay in galera.cache: they must not hold the password itself.
    """
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the server compares with just this
    return "*" + hashlib.sha1(once).hexdigest().upper()  # noqa: S324


@dataclass(frozen=True)
class Account:
    """An account with its password's stored form.

    `former`: of the password that counts as well, while clients go over to the new one; empty for none.
    `socket`: the system's user of that name needs none. `tls`: who comes without TLS is refused.
    """

    user: str
    host: str
    hash: str
    former: str = ""
    socket: bool = False
    tls: bool = False

    @property
    def hashes(self) -> tuple[str, ...]:
        """All that let one in, the newest first: the server asks for that first."""
        return (self.hash, self.former) if self.former else (self.hash,)

    def statement(self, verb: str, lock: str = "") -> Statement:
        """`CREATE USER` or `ALTER USER`; `lock` comes last."""
        hashes = (*self.hashes, OVERLAP) if self.former else self.hashes
        ways = ["unix_socket"] * self.socket + ["mysql_native_password USING %s"] * len(hashes)
        only = " REQUIRE SSL" if self.tls else ""
        words = f"{verb} %s@%s IDENTIFIED VIA {' OR '.join(ways)}{only}{lock}"
        return words, (self.user, self.host, *hashes)

    def holds(self, privileges: str) -> bool:
        """Whether the account is so. `privileges`: as `STORED` has them.

        A password that somebody has added stays, unless the account had a former one by `statement`: then
        these count and no other.
        """
        found = set(HASH.findall(privileges))
        if self.former:
            same = found == set(self.hashes) and OVERLAP in privileges
        else:
            same = self.hash in found and OVERLAP not in privileges
        return same and (not self.tls or TLS_NEEDED.search(privileges) is not None)


def with_passwords(settings: Settings) -> list[Account]:
    """All accounts with a password.

    `root` locally, and from the cluster's network, from there with TLS where nodes have it; `monitor` without
    any right but to connect and read the status; the application's, named as its database.
    """
    root, monitor, app = (_stored(settings, f"galera-{name}-password") for name in ("root", "monitor", "app"))
    network = f"{settings.subnet.network_address}/{settings.subnet.netmask}"
    return [
        Account("root", "localhost", *root, socket=True),
        Account("root", network, *root, tls=settings.encrypted),
        Account("monitor", "%", *monitor),
        Account(settings.database, "%", *app),
    ]


def _stored(settings: Settings, secret: str) -> tuple[str, str]:
    """Of the password in a secret, and of the one before while that counts, too; else empty."""
    former = settings.former(secret)
    return native_hash(settings.secret(secret)), native_hash(former) if former else ""


def accounts(settings: Settings) -> list[Statement]:
    """The accounts of a new cluster and its database; the application's can't be used yet.

    `root`@`%` can never be used: it is the definer of views, triggers and routines in dumps from elsewhere,
    which would end with ERROR 1449 without it. Such a definer runs with all rights, as `root`@`localhost`
    would.
    """
    local, remote, monitor, app = with_passwords(settings)
    # In a grant _ stands for any character: `my_app` would let the application into `my1app`, too.
    database = settings.database.replace("_", "\\_")
    everything = "GRANT ALL PRIVILEGES ON *.* TO %s@%s"
    return [
        local.statement("ALTER USER"),
        remote.statement("CREATE USER"),
        (f"{everything} WITH GRANT OPTION", (remote.user, remote.host)),
        (f"CREATE USER %s@%s IDENTIFIED BY PASSWORD '{NO_PASSWORD}' ACCOUNT LOCK", DEFINER),
        (everything, DEFINER),
        monitor.statement("CREATE USER"),
        (f"CREATE DATABASE `{settings.database}`", ()),
        app.statement("CREATE USER", " ACCOUNT LOCK"),
        (f"GRANT ALL PRIVILEGES ON `{database}`.* TO %s@%s", (app.user, app.host)),
    ]


def application(settings: Settings) -> list[Statement]:
    """Lets the application in, with its password whatever the initial SQL made of it. The last step."""
    *_, app = with_passwords(settings)
    return [app.statement("ALTER USER", " ACCOUNT UNLOCK")]


def moved(settings: Settings, stored: Iterable[tuple[str, ...]]) -> Statement | None:
    """Gives root's account of a former network to the present one. `stored`: rows of `STORED`.

    That account is the one of the form `root`@`network/mask` with the same password as `root`@`localhost`:
    others of that form somebody has made by hand, and they stay. None if the present network has one, or none
    is found: one that somebody has dropped is not made anew.
    """
    _, remote, *_ = with_passwords(settings)
    root = {host: privileges for user, host, privileges in stored if user == "root"}
    if remote.host in root:
        return None
    local = set(HASH.findall(root.get("localhost", "")))
    former = [host for host in root if NETWORK.fullmatch(host) and local & set(HASH.findall(root[host]))]
    if len(former) != 1:
        return None
    return "RENAME USER %s@%s TO %s@%s", ("root", former[0], "root", remote.host)


def outdated(settings: Settings, stored: Iterable[tuple[str, ...]]) -> list[Account]:
    """Accounts whose passwords are others than the secrets', or that need no TLS but should.

    `stored`: rows of `STORED`. One that somebody has dropped is not made anew.
    """
    known = {(user, host): privileges for user, host, privileges in stored}
    return [
        account
        for account in with_passwords(settings)
        if (account.user, account.host) in known and not account.holds(known[account.user, account.host])
    ]


def fingerprint(settings: Settings) -> str:
    """Tells whether two nodes have the same passwords, and TLS, and nothing else: 48 bits of all together."""
    hashes = "".join(
        " OR ".join(account.hashes) + " TLS" * account.tls for account in with_passwords(settings)
    )
    return hashlib.sha256(f"{settings.cluster} {hashes}".encode()).hexdigest()[:12]


def agreed(mine: str, facts: Facts) -> bool:
    """Whether all nodes present have the passwords with this fingerprint.

    While old and new ones are there, the accounts keep what they have: clients have the old ones too.
    """
    return {facts.passwords.get(name) for name in facts.present} == {mine}


def may_change(facts: Facts, seconds: float) -> bool:
    """Whether to act on what all present nodes have agreed on for so long: a member may be away."""
    return facts.nodes.keys() <= facts.present.keys() or seconds >= ABSENCE
