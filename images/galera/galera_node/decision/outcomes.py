"""What a node can decide to do; what is done then is in `attempt`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class NewEpoch:
    """The epoch that a recovery begins, after all that are known, of which `after` is the last.

    `carried` and `left_out` as in `store.Epoch`.
    """

    after: str
    carried: Mapping[str, int]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Bootstrap:
    """Start a new cluster: `first` on an empty directory, else from the own data at its position.

    `expect` are the revisions to insist on; `abort` is a formation's UUID to be marked as ended; `epoch`
    begins with it, if it leaves anybody out.
    """

    first: bool
    reason: str
    expect: Mapping[str, int] = field(default_factory=dict)
    abort: str | None = None
    epoch: NewEpoch | None = None


@dataclass(frozen=True)
class Join:
    """Start against these live addresses. Never starts a cluster. `full`: all own data is replaced."""

    addresses: tuple[str, ...]
    reason: str
    full: bool = False


@dataclass(frozen=True)
class Carry:
    """Note that the own data belongs to `epoch`, which has begun with it, and look again."""

    epoch: str
    reason: str


@dataclass(frozen=True)
class Wait:
    """Nothing can be done safely now."""

    reason: str


@dataclass(frozen=True)
class Discard:
    """Empty the own directory: it holds a formation that ended before any client was served."""

    uuid: str
    reason: str
    expect: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Hold:
    """A restore is under way: nothing is to be done here, and nothing is wrong."""

    reason: str


@dataclass(frozen=True)
class SetAside:
    """Keep the own data apart: a restore replaces the cluster's."""

    restore: str
    reason: str


@dataclass(frozen=True)
class PutBack:
    """Put the data of before a restore back in the place of what it has brought. restore: which one."""

    restore: str
    reason: str


@dataclass(frozen=True)
class Refuse:
    """A person must decide."""

    reason: str


Decision = Bootstrap | Join | Carry | Wait | Discard | Hold | SetAside | PutBack | Refuse
