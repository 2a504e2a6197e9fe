"""What a client of the key-value store shows and knows: its certificate, and its password or token.

Owns: the names of these, also as files in Galera's containers (images/galera, `stores`).
Leaves to others: making them (etcd.py, and Consul's component), whom they let in (the stores' images).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

FILES = ("store-ca.crt", "store-client.crt", "store-client.key", "store-token")
"""Secrets of a service that is a client, in the order of `StoreAccess`'s attributes."""


@dataclass(frozen=True)
class StoreAccess:
    """One client's access.

    Attributes:
        ca_certificate: PEM: whom the client trusts.
        certificate, private_key: PEM: what it shows. The key is secret.
        token: the password of its user (etcd) or its token's id (Consul); secret.
    """

    ca_certificate: pulumi.Input[str]
    certificate: pulumi.Input[str]
    private_key: pulumi.Input[str] = field(repr=False)
    token: pulumi.Input[str] = field(repr=False)

    def files(self) -> Mapping[str, pulumi.Input[str]]:
        """Their contents, by the secrets' names."""
        return dict(
            zip(FILES, (self.ca_certificate, self.certificate, self.private_key, self.token), strict=True)
        )

    def as_output(self, user: str | None = None) -> Mapping[str, pulumi.Input[str]]:
        """As consumers read it. Args: user: whose password the token is; None where it is none."""
        known = {"token": self.token} if user is None else {"user": user, "password": self.token}
        return {
            **known,
            "caCertificate": self.ca_certificate,
            "certificate": self.certificate,
            "privateKey": self.private_key,
        }
