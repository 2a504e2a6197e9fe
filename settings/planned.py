"""A host of the plan, wherever it comes from: ordered, or one's own.

Owns: what all that runs on hosts needs to know of one before it is there.
Leaves to others: making the list of them (all_hosts.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from settings.own_hosts import OwnHost, Role
from settings.server import Server

DATA_LABEL = "galera"
"""Node label, `true` on the hosts that bear a node of the database."""


@dataclass(frozen=True)
class PlannedHost:
    """One host.

    Attributes:
        name, role: in the swarm.
        datacenter: label on its node and its engine.
        ordered: what it is ordered as; None for one's own.
        own: how one's own is reached; None for one that is ordered.
        labels: further ones of its node.
        encrypted: its data disk is to be encrypted, if it is prepared anew.
        pooled: it is of a pool, whose labels may come and go.
    """

    name: str
    role: Role
    datacenter: str
    ordered: Server | None = None
    own: OwnHost | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    encrypted: bool = False
    pooled: bool = False

    @property
    def bears_data(self) -> bool:
        """Whether a node of the database is on it: on every manager, and where the label says so."""
        return self.role == "manager" or self.labels.get(DATA_LABEL) == "true"

    @property
    def may_have_borne_data(self) -> bool:
        """Whether its label for that may have been another one before."""
        return self.pooled and not self.bears_data

    @property
    def node_labels(self) -> dict[str, str]:
        """All labels of its node."""
        own = {"datacenter": self.datacenter, DATA_LABEL: "true" if self.bears_data else "false"}
        return {**self.labels, **own}
