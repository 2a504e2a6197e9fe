"""The section `loadBalancer`: HAProxy before the database.

Owns: its settings, and that its ports are apart.
Leaves to others: which ports can be had at all (ports.py), what the service is (components/load_balancer.py).
"""

from __future__ import annotations

import itertools
from typing import ClassVar

from pydantic import model_validator

from settings import values
from settings.ports import BalancerPort
from settings.section import Section


class LoadBalancer(Section):
    """HAProxy on every host, before the database. Without this section there is none.

    Attributes:
        image: container image, which the hosts fetch without a login.
        writer_port: of every host, and of the service on the overlay network, from 1024 to 29999; leads to
            the one node that takes the writes.
        reader_port: as writerPort; leads to all nodes that serve.
        stats_port: as writerPort; a page with statistics, for the user `admin`.
    """

    title: ClassVar[str] = "loadBalancer"
    image: values.Image
    writer_port: BalancerPort = 6446
    reader_port: BalancerPort = 6447
    stats_port: BalancerPort = 8404

    @property
    def ports(self) -> dict[str, int]:
        """By the setting's name."""
        return {
            "writerPort": self.writer_port,
            "readerPort": self.reader_port,
            "statsPort": self.stats_port,
        }

    @model_validator(mode="after")
    def _ports_apart(self) -> LoadBalancer:
        for (one, port), (other, same) in itertools.combinations(self.ports.items(), 2):
            if port == same:
                raise values.Refused(
                    f"{one} and {other} are both {port}, and a port leads to one of them only",
                    "give each a port of its own",
                )
        return self
