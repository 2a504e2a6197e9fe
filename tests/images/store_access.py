"""What clients and members of etcd show and know, from the stack's own providers.

Owned here: the files by their secrets' names. Left to others: what is expected of them.
"""

from __future__ import annotations

from typing import Any

from components import etcd_access, store_access
from components.client_certificate import ClientCertificateProvider
from components.peer_authority import PeerAuthorityProvider
from components.peer_certificates import PeerCertificatesProvider

PASSWORDS = {"galera": "galera-8c1f", "consumer": "consumer-21d7"}
READABLE = "swarm-galera/galera/present/,swarm-galera/galera/writer"
ETCDCTL = (
    *("/usr/bin/env", "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS=https://127.0.0.1:2381"),
    "ETCDCTL_CACERT=/run/secrets/etcd-client-ca.crt",
    *("ETCDCTL_CERT=/run/secrets/etcd-root.crt", "ETCDCTL_KEY=/run/secrets/etcd-root.key"),
    "/usr/bin/etcdctl",
)
"""etcdctl with the environment of the image."""


def authority() -> dict[str, Any]:
    """A new one for clients."""
    return PeerAuthorityProvider().create({"name": "clients"}).outs or {}


class Access:
    """All that one authority has signed for clients and for the server that they come to.

    Attributes:
        passwords: of etcd's users.
    """

    def __init__(self, before: Access | None = None) -> None:
        """`before`: what this authority takes over from, as the stack's state does."""
        self.passwords = dict(PASSWORDS)
        self._signed: dict[str, dict[str, Any]] = before._signed if before is not None else {}
        made = authority()
        by = {"authority": made["certificate"], "authority_key": made["private_key"]}
        names = {"name": "etcd", "addresses": ["etcd", "localhost", "127.0.0.1"], "user": False}
        clients = ClientCertificateProvider()
        self._signed = {
            "server": self._of(PeerCertificatesProvider(), "server", {**names, **by}),
            "root": self._of(clients, "root", {"called": "root", "user": True, **by}),
            **{user: self._of(clients, user, {"called": user, "user": False, **by}) for user in PASSWORDS},
        }

    def _of(self, provider: PeerCertificatesProvider, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        former = self._signed.get(name)
        if former is None:
            return provider.create(inputs).outs or {}
        assert provider.diff("x", former, inputs).changes
        return provider.update("x", former, inputs).outs or {}

    @property
    def member(self) -> dict[str, str]:
        """Files of a member, beside those of the peers."""
        server, root = self._signed["server"], self._signed["root"]
        contents = (
            *(server["ca_certificate"], server["certificate"], server["private_key"]),
            *(root["certificate"], root["private_key"]),
            *self.passwords.values(),
        )
        return dict(zip(etcd_access.FILES, contents, strict=True))

    def files(self, user: str) -> dict[str, str]:
        """Files of a client, as Galera's nodes have them."""
        shown = self._signed[user]
        contents = shown["ca_certificate"], shown["certificate"], shown["private_key"], self.passwords[user]
        return dict(zip(store_access.FILES, contents, strict=True))
