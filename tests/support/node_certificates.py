"""What the database's nodes show and trust, from the stack's own providers; and what must not be good.

Owned here: the files by their secrets' names. Left to others: what is expected of nodes with them.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from components import certificates, database_tls
from components.certificates import Signed
from components.database_certificate import DatabaseCertificateProvider
from components.peer_authority import PeerAuthorityProvider


class NodeCertificates:
    """One generation's.

    Attributes:
        authority, state: what the stack's state holds of the authority, and of the nodes' certificate.
    """

    def __init__(self, before: NodeCertificates | None = None, *, ago: dt.timedelta | None = None) -> None:
        """`before`: what this generation takes over from, as the stack's state does. `ago`: made then."""
        self.generation: int = before.generation + 1 if before is not None else 1
        self.authority: dict[str, Any]
        asked = {"name": "galera", "generation": self.generation}
        authority, provider = PeerAuthorityProvider(), DatabaseCertificateProvider()
        if before is None:
            made = authority.create(asked).outs or {}
            if ago is not None:
                old = certificates.new_authority("galera", dt.datetime.now(dt.UTC) - ago)
                made = {**made, "certificate": old.certificate, "private_key": old.private_key}
        else:
            assert not authority.check(before.authority, asked).failures
            made = authority.update("x", before.authority, asked).outs or {}
        self.authority = made
        inputs = {
            "name": "galera-certificate",
            "addresses": list(database_tls.NAMES),
            "authority": made["certificate"],
            "authority_key": made["private_key"],
        }
        self.state: dict[str, Any] = (
            provider.create(inputs).outs or {}
            if before is None
            else provider.update("x", before.state, inputs).outs or {}
        )

    def renewed(self) -> dict[str, str]:
        """Files after an `up` that has found the authority in its last year, or later."""
        asked = {"name": "galera", "generation": self.generation}
        made = PeerAuthorityProvider().update("x", self.authority, asked).outs or {}
        news = {**self.state, "authority": made["certificate"], "authority_key": made["private_key"]}
        return _files(DatabaseCertificateProvider().update("x", self.state, news).outs or {})

    @property
    def files(self) -> dict[str, str]:
        """Of a node."""
        return _files(self.state)

    def another(self, *, name: str = "galera", ago: dt.timedelta = dt.timedelta()) -> dict[str, str]:
        """Files with a certificate of the same authority for another name, or signed so long ago."""
        by = Signed(self.authority["certificate"], self.authority["private_key"])
        made = certificates.peer_certificate("galera", [name], by, dt.datetime.now(dt.UTC) - ago)
        return {
            **self.files,
            database_tls.FILES[1]: made.certificate,
            database_tls.FILES[2]: made.private_key,
        }


def _files(signed: dict[str, Any]) -> dict[str, str]:
    contents = signed["ca_certificate"], signed["certificate"], signed["private_key"]
    return dict(zip(database_tls.FILES, contents, strict=True))
