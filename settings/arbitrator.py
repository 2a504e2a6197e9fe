"""The section `arbitrator`: a vote without data, for an even number of nodes; and the database's odd rule.

Owns: its setting, and which numbers of nodes may be. Leaves to others: how many managers vote in swarm and
store (server_values.py), what the service is (components/arbitrator.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from settings import values
from settings.planned import DATA_LABEL
from settings.section import Section
from settings.servers import Servers

NAME = "galera-arbitrator"
"""What it is called in the database's group."""


class Arbitrator(Section):
    """Galera's arbitrator (garbd) on a host without data: the odd vote of an even number of nodes. Without
    this section there is none.

    Attributes:
        image: container image.
    """

    title: ClassVar[str] = "arbitrator"
    image: values.Image


def odd_votes(servers: Servers, arbitrator: Arbitrator | None) -> Iterator[str]:
    """What is wrong with how many votes there are in the database, each with its remedy."""
    nodes = len(servers.data_names)
    if arbitrator is None:
        if nodes != len(servers.manager_names) and nodes % 2 == 0:
            yield (
                f"servers.pools: with those labelled {DATA_LABEL} there are {nodes} nodes of the database, "
                f"and an even number survives the loss of {(nodes - 1) // 2}, no more than {nodes - 1} "
                "would. Remedy: label one more or one less, or have an arbitrator vote (section arbitrator)"
            )
        return
    if nodes % 2:
        yield (
            f"arbitrator: {nodes} nodes of the database and the arbitrator are an even number of votes, of "
            "which neither half goes on. Remedy: leave the section out"
        )
    if len(servers.hostnames) == nodes:
        yield (
            "arbitrator: every host bears a node of the database, and beside one of them its vote would be "
            "lost with that one's. Remedy: one host without (servers.workers: 1)"
        )
    if NAME in servers.hostnames:
        yield f"servers: {NAME} is what the arbitrator is called. Remedy: another name for that host"
