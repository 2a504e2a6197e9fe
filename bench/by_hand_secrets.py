"""The secrets that somebody makes for store and database by hand: certificates, keys, passwords.

Owns: their contents. Leaves to others: bringing them to the swarm (by_hand.py).
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence

from components import certificates, database_tls, etcd_access, galera, store_access

PEERS = ("etcd-peer-ca.crt", "etcd-peer.crt", "etcd-peer.key")


def drawn(addresses: Sequence[str]) -> dict[str, str]:
    """Contents by the secrets' names, of both services. Args: addresses: of the managers, private."""
    now = dt.datetime.now(dt.UTC)
    peers, clients, database = (
        certificates.new_authority(name, now) for name in ("peers", "clients", "database")
    )
    node = certificates.peer_certificate("by-hand", database_tls.NAMES, database, now)
    peer = certificates.peer_certificate("by-hand", addresses, peers, now)
    server = certificates.peer_certificate(
        "by-hand", ["etcd", "localhost", "127.0.0.1"], clients, now, user=False
    )
    root = certificates.client_certificate("root", clients, now, user=True)
    client = certificates.client_certificate("galera", clients, now)
    token, other = secrets.token_hex(16), secrets.token_hex(16)
    members = (
        *(clients.certificate, server.certificate, server.private_key),
        *(root.certificate, root.private_key, token, other),
    )
    nodes = (clients.certificate, client.certificate, client.private_key, token)
    tls = (database.certificate, node.certificate, node.private_key)
    return {
        **dict(zip(database_tls.FILES, tls, strict=True)),
        **dict(zip(PEERS, (peers.certificate, peer.certificate, peer.private_key), strict=True)),
        **dict(zip(etcd_access.FILES, members, strict=True)),
        **dict(zip(store_access.FILES, nodes, strict=True)),
        **{f"galera-{user}-password": secrets.token_hex(16) for user in galera.USERS},
    }
