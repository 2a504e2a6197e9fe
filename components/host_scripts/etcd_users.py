"""The last step from a store that lets in anybody to one that lets in users: it turns them on.

Owns: that step on a manager. Leaves to others: when it is time for it (components/etcd.py), what it does in
the store, and that it does nothing where users are on (images/etcd, `clients`).
"""

from __future__ import annotations

from components.host_scripts.shell import assign, body

_USERS = body("etcd_users")


def users_only(service: str) -> str:
    """Shell text for a manager with a member, once every client of `service` comes with TLS and as a user."""
    return f"{assign(service=service)}\n{_USERS}"
