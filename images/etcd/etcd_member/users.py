"""The store's users: who there is, and what each may do. Made when the store is, and set right at each start.

Owns: these users and their roles. Leaves to others: when clients must be users (`clients`).

- `root`      may do everything; has no password, and is known by the certificate in the members' containers.
- `galera`    reads and writes the records of Galera's nodes, `swarm-galera/…`.
- `consumer`  reads what READABLE names, and nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from .api import LocalMember
from .ctl import ApiError, Etcdctl
from .settings import Settings

RECORDS = "swarm-galera/"
"""Where Galera's nodes keep their records (images/galera, `store`)."""
THERE = ("already exists", "permission is not granted")
"""What etcd says to what another member has done in the meantime."""
RIGHTS = {"READ": 0, "WRITE": 1, "READWRITE": 2}
"""As etcdctl prints a permission in JSON, where the first is left out."""


@dataclass(frozen=True)
class Grant:
    """One permission. `key`: with a `/` at its end, all that begins so. `kind`: as etcdctl has it."""

    kind: str
    key: str

    @property
    def words(self) -> list[str]:
        """Behind `role grant-permission NAME`, or without the kind behind `revoke-permission`."""
        return [self.key, *(["--prefix"] if self.key.endswith("/") else [])]


def wanted(settings: Settings) -> dict[str, list[Grant]]:
    """The permissions of every user with a password; its role has its name."""
    return {
        "galera": [Grant("readwrite", RECORDS)],
        "consumer": [Grant("read", key) for key in settings.readable],
    }


def set_right(settings: Settings, root: Etcdctl, member: LocalMember) -> list[str]:
    """Makes what is missing, takes away what is too much; what was done, for the log. Raises ApiError.

    To be repeated after an error: what is done stays done. Passwords that are right are left alone, because
    a changed one ends what its user has under way.
    """
    names, roles = _listed(root, "user", "users"), _listed(root, "role", "roles")
    done = []
    if "root" not in names:
        _add(root, "user", "add", "root", "--no-password")
        done.append("user root")
    _belong(root, "root", names)
    for name, grants in wanted(settings).items():
        if name not in roles:
            _add(root, "role", "add", name)
        done += _permit(root, name, grants)
        password = settings.password(name)
        if name not in names:
            _add(root, "user", "add", name, "--interactive=false", line=password)
            done.append(f"user {name}")
        if not member.has_users() or not member.accepts(name, password):
            root.tell("user", "passwd", name, "--interactive=false", line=password)
            done += [f"password of {name}"] if name in names else []
        _belong(root, name, names)
    return done


def _belong(root: Etcdctl, name: str, known: Sequence[str]) -> None:
    """Gives a user its role, unless it has it: etcd would warn of that."""
    if name not in known or name not in (root.ask("user", "get", name).get("roles") or ()):
        _add(root, "user", "grant-role", name, name)


def _listed(root: Etcdctl, what: str, field: str) -> Sequence[str]:
    found = root.ask(what, "list").get(field)
    return found if isinstance(found, list) else []


def _add(root: Etcdctl, *words: str, line: str = "") -> None:
    """A step that another member may have taken meanwhile."""
    try:
        root.tell(*words, line=line)
    except ApiError as error:
        if not any(sign in str(error) for sign in THERE):
            raise


def _permit(root: Etcdctl, role: str, grants: Sequence[Grant]) -> list[str]:
    """Gives a role these permissions, and no others."""
    found = root.ask("role", "get", role).get("perm") or []
    has = {(_text(each, "key"), _text(each, "range_end"), each.get("permType", 0)) for each in found}
    needs = {(grant.key, range_end(grant.key), RIGHTS[grant.kind.upper()]): grant for grant in grants}
    for key, end, _kind in sorted(has - set(needs)):
        _add(root, "role", "revoke-permission", role, key, *([end] if end else []))
    for one in sorted(set(needs) - has):
        _add(root, "role", "grant-permission", role, needs[one].kind, *needs[one].words)
    return [f"rights of {role}"] if has != set(needs) else []


def range_end(key: str) -> str:
    """Up to where a permission goes; empty for one key alone."""
    return f"{key[:-1]}{chr(ord(key[-1]) + 1)}" if key.endswith("/") else ""


def _text(permission: dict[str, object], field: str) -> str:
    return base64.b64decode(str(permission.get(field) or "")).decode(errors="replace")
