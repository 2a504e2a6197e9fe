"""Who may speak to etcd as a client: the authority for clients, the certificates it signs, and the passwords.

Owns: which clients there are, and what each is called.
Leaves to others: what each may do there (images/etcd, `users`), the peers (etcd.py).

Clients show a certificate of this authority, and are a user by name and password. Only `root` is known by its
certificate alone; that is in the members' containers and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components import rotation
from components.client_certificate import ClientCertificate
from components.password import Password
from components.peer_authority import PeerAuthority
from components.peer_certificates import PeerCertificates
from components.store_access import StoreAccess
from settings.rotation import Certificates

GALERA, CONSUMER = "galera", "consumer"
"""etcd's users with a password."""
FILES = (
    "etcd-client-ca.crt",
    "etcd-server.crt",
    "etcd-server.key",
    "etcd-root.crt",
    "etcd-root.key",
    "etcd-galera-password",
    "etcd-consumer-password",
)
"""Secrets of the members' containers, beside those of the peers."""


@dataclass(frozen=True)
class Drawn:
    """What is drawn once, and must stay while the store's data does: the authority and the passwords."""

    authority: PeerAuthority
    passwords: Mapping[str, pulumi.Output[str]]

    @classmethod
    def of(cls, name: str, wanted: Certificates, opts: pulumi.ResourceOptions) -> Drawn:
        """Declared as `opts` say."""
        users = (GALERA, CONSUMER)
        passwords = {user: Password(f"{name}-{user}-password", opts=opts).value for user in users}
        generation = rotation.of_authority(wanted)
        return cls(PeerAuthority(f"{name}-client-authority", opts, generation=generation), passwords)


@dataclass(frozen=True)
class EtcdAccess:
    """All of it.

    Attributes:
        files: of a member's container, by the secrets' names.
        galera, consumer: what these clients show and know.
    """

    files: Mapping[str, pulumi.Input[str]]
    galera: StoreAccess
    consumer: StoreAccess

    @classmethod
    def declare(
        cls, name: str, address: str, wanted: Certificates, opts: pulumi.ResourceOptions
    ) -> EtcdAccess:
        """`address`: by which clients know the store; `opts` bring the parent."""
        drawn, overlap = Drawn.of(name, wanted, opts), len(wanted.counting) > 1
        # The members ask themselves on the loopback, and etcd its own gateway.
        names = [address, "localhost", "127.0.0.1"]
        server = PeerCertificates(
            f"{name}-server-certificate", names, drawn.authority, opts, user=False, overlap=overlap
        )
        root = ClientCertificate(
            f"{name}-root-certificate", "root", drawn.authority, opts, user=True, overlap=overlap
        )

        def client(user: str) -> StoreAccess:
            shown = ClientCertificate(
                f"{name}-{user}-certificate", user, drawn.authority, opts, overlap=overlap
            )
            password = drawn.passwords[user]
            return StoreAccess(shown.ca_certificate, shown.certificate, shown.private_key, password)

        contents = (
            server.ca_certificate,
            server.certificate,
            server.private_key,
            root.certificate,
            root.private_key,
            drawn.passwords[GALERA],
            drawn.passwords[CONSUMER],
        )
        return cls(dict(zip(FILES, contents, strict=True)), client(GALERA), client(CONSUMER))
