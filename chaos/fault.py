"""What a fault is: what it does to whom, how it is undone, and what must hold meanwhile.

Owns: the type, and the draw of whom it strikes. Leaves to others: the faults themselves (`faults/`), when
they happen (`one_run.py`), which are run (`plan.py`).

A further fault is one entry in a table of `faults/`: two functions of a site and of whoever is struck.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from chaos.site import Site
from harness.lab_cluster import HOSTS, STORES


class Whom(Enum):
    """Which hosts a fault strikes; all but the last three are drawn anew in each run."""

    ANY = "any host"
    READER = "a host that is not the writer's"
    TWO = "two hosts"
    NOBODY = "the whole stack"
    WRITER = "the writer's host"
    LEADER = "the swarm leader's host"
    ALL = "all hosts"


class Writes(Enum):
    """What must become of the clients' writes while the fault lasts. Once it is undone, they go on."""

    GO_ON = "go on"
    MAY_STOP = "may stop"


@dataclass(frozen=True)
class Facts:
    """The cluster before anything happens: the host of the writer, and that of the swarm's leader."""

    writer: str
    leader: str


TOLD = "told"
"""Of a fault's notes, the one that stands in the run's result: what one should know of how it happened."""


@dataclass
class Struck:
    """Whom a fault strikes in one run, the run's own draw, and what one of its functions tells the other."""

    hosts: tuple[str, ...]
    facts: Facts
    draw: random.Random
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The first of them."""
        return self.hosts[0]

    @property
    def others(self) -> tuple[str, ...]:
        """The hosts that it leaves alone."""
        return tuple(host for host in HOSTS if host not in self.hosts)


Act = Callable[[Site, Struck], None]


def nothing(_site: Site, _struck: Struck) -> None:
    """Of a fault that ends by itself."""


@dataclass(frozen=True)
class Fault:
    """One kind.

    Attributes:
        name: in the tables, and on the command line. says: what happens, in a sentence without a subject.
        whom: whom it strikes.
        does: makes it happen; raises LabFailed if there was nothing to do it to.
        undone: takes it back, also where a part of it is gone already.
        holds: seconds between the two.
        writes: what becomes of the writes meanwhile, and `limit`: for how many seconds they may stop where
            they must go on. goal: for how many they should, if somebody has said so.
        takes_clients: clients on the struck hosts go down with it, so their pauses are no news.
        first: it is undone before others that it is paired with: what they undo may be on its hosts.
        afterwards: what is put in order once all was judged.
        mended_by_up: it takes an `up` until all is well again.
        heals: seconds within which three nodes are Synced once it is undone.
        stores: with which stores it makes sense.
        brief: it may be in the share that ordinary tests run.
    """

    name: str
    says: str
    whom: Whom
    does: Act
    undone: Act = nothing
    holds: float = 20.0
    writes: Writes = Writes.GO_ON
    limit: float = 30.0
    goal: float | None = None
    takes_clients: bool = False
    first: bool = False
    afterwards: Act = nothing
    mended_by_up: bool = False
    heals: float = 600.0
    stores: tuple[str, ...] = STORES
    brief: bool = False


def strike(fault: Fault, facts: Facts, draw: random.Random) -> Struck:
    """Whom the fault strikes; the same for the same facts and the same state of the draw."""
    readers = [host for host in HOSTS if host != facts.writer]
    hosts: Mapping[Whom, Callable[[], tuple[str, ...]]] = {
        Whom.ANY: lambda: (draw.choice(HOSTS),),
        Whom.READER: lambda: (draw.choice(readers),),
        Whom.TWO: lambda: tuple(sorted(draw.sample(HOSTS, 2))),
        Whom.NOBODY: lambda: (),
        Whom.WRITER: lambda: (facts.writer,),
        Whom.LEADER: lambda: (facts.leader,),
        Whom.ALL: lambda: HOSTS,
    }
    return Struck(hosts[fault.whom](), facts, draw)
