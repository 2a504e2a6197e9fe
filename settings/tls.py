"""The section `galera.tls`: certificates of the database, and who must come with TLS.

Owns: its settings. Leaves to others: making and changing the certificates (components/database_tls.py), what
the nodes do with them (images/galera, `tls`).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from settings import values
from settings.section import Section


class Tls(Section):
    """TLS of the database. Nodes speak it among one another in any case, and clients may.

    Attributes:
        required: clients that come without TLS are refused, whoever they are (error 1045 of MariaDB 10.11,
            3159 of 11.8). Without this, only root is, from anywhere but a node itself. Not to be set in the
            run that brings TLS to a stack that an older release has made.
        names: further names in the certificate, by which clients outside of the overlay network know the
            database, like db.example.com. It bears galera, tasks.galera, haproxy and localhost anyway.
        generation: one more makes a new authority and new certificates; the nodes go over to them one by one,
            then trust the former authority no longer. One step a run, and never back. With `engine.access:
            tls` also of the engines' API, which restart for it, one host at a time.
    """

    title: ClassVar[str] = "galera.tls"
    required: bool = False
    names: list[Annotated[str, AfterValidator(values.domain)]] = Field([], max_length=32)
    generation: int = Field(1, ge=1, le=10_000)
