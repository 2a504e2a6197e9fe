"""Starts of mariadbd that have ended before it answered anything, in a row: what is tried, and what is said.

Owns giving up Galera's write-set cache (galera.cache), of which mariadbd may die at each start. Leaves to
others: when a start has ended (`watch`), the next one (`attempt`), whether there is one (`supervisor`).

A crash or a full disk may leave the cache damaged: Galera, which goes through all of it at each start
("Recovering GCache ring buffer"), then dies of a signal, be it by the memory that it asks for
(mariadb-corporation/galera 608 and 624, percona/galera 311). Damage that it notices it throws away by itself,
so an exit code says nothing of the cache; nor does a recovery of the position, which does not load Galera. By
hand one removes the file.

No row is lost with it. A commit is acknowledged once it is in InnoDB's log, on disk; and no start takes rows
out of the cache: Galera goes by InnoDB's position, and throws away what the cache has beyond it
(`GCache::seqno_reset`). So this holds for the only node that has the most advanced data, too. The cache is
for others: from it a donor sends them the write-sets that they have missed (IST).
"""

from __future__ import annotations

import signal
from pathlib import Path

from .local_state import Local
from .transfer import Progress
from .words import log

CACHE = "galera.cache"
PAGES = "gcache.page.*"  # what did not fit into it. No setting has either of them elsewhere
DEATHS = 2  # by a signal, in a row, after which a start is made without the cache
TOLD = 3  # ends in a row after which a person is told what to do: one of them was without the cache
REMEDY = (
    "If memory or disk is short, mend that. If it is this node's data, only a person may give that up: where "
    "the other nodes have all of it, empty its volume, and it takes a full copy (docs/how-to/operations.md, "
    '"A node that does not come up")'
)


class FailedStarts:
    """Those of this container, in a row: an answer of mariadbd, or its end by the node itself, ends it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._ends: list[int] = []  # exit codes
        self._without_cache = False
        self._copies = False

    def see(self, progress: Progress | None) -> None:
        """What state transfer the mariadbd that runs has under way.

        One that gets a full copy, or waits for one, has its cache open; why copies come to nothing is told
        elsewhere. Write-sets go through the cache.
        """
        if progress is not None:
            self._copies = progress.phase != "incremental"

    def ended(self, code: int | None, by_itself: bool, answered: bool) -> None:
        """mariadbd has ended with `code`, negative for a signal. `by_itself`: the node has not ended it."""
        if code and by_itself and not answered and not self._copies:
            self._ends.append(code)
        else:
            self._ends, self._without_cache = [], False
        self._copies = False

    def before(self, local: Local) -> None:
        """Before the next start, from `local`: removes the cache if that is what may end each of them.

        Once in a row: if it is something else (memory), a further time would be of no use. Where InnoDB has
        not even told its position, it is not the cache.
        """
        last = self._ends[-DEATHS:]
        if self._without_cache or len(last) < DEATHS or max(last) > 0 or local.unrecovered:
            return
        names = [path.name for pattern in (CACHE, PAGES) for path in sorted(self._data_dir.glob(pattern))]
        if not names:
            return
        times = f"{len(self._ends)} times in a row before it answered anything ({how(last[-1])})"
        died = f"mariadbd has died {times}"
        try:
            for name in names:
                (self._data_dir / name).unlink()
        except OSError as error:
            log(f"{died}, and its write-set cache, which may be damaged, can't be removed: {error}")
            return
        self._without_cache = True
        log(
            f"{died}: its write-set cache may be damaged, so it starts without (removed: {', '.join(names)})"
            ". No row is lost: rows are in InnoDB. The cost: nodes that were away can't get the write-sets "
            "of until now from this one, and take a full copy unless another one has them"
        )

    @property
    def problem(self) -> str:
        """What a person should know of it; empty while a further start may do."""
        if len(self._ends) < TOLD:
            return ""
        without = ", without its write-set cache, too" if self._without_cache else ""
        return (
            f"mariadbd has ended {len(self._ends)} times in a row before it answered anything{without}, the "
            f"last time with {how(self._ends[-1])}: its own words in the log say why"
        )


def how(code: int) -> str:
    """An exit code as a person knows it: a signal by its name."""
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"
