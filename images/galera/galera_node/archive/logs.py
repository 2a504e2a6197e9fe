"""Binary logs into the archive, one after the other, without a gap where that can be had.

Owns: the order of writes (data, then the manifest, then how far the archive reaches), and what is known of
it. Leaves to others: whose turn it is (`archiver`), the node's own files (`own_logs`), the rules (`chain`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..words import log
from . import chain as chains
from . import layout, manifest, pipeline
from .bucket import Bucket
from .chain import Chain
from .layout import Span
from .manifest import Log, Reach
from .own_logs import Behind, OwnLogs
from .plan import DOMAIN, Plan


@dataclass(frozen=True)
class Where:
    """Of whom the logs are: the timeline, the node, and its server's version."""

    timeline: str
    node: str
    server: str


class Waits(Exception):
    """A new timeline begins once all nodes write binary logs; the message names those that do not."""


class Logs:
    """The logs of one timeline.

    Attributes:
        chain: what is archived. last: the number up to which nothing need be archived any more; None until
            that is known. reach: as in the store's record. uneven: a gap was met, since which the
            nodes may count differently (`even`).
    """

    def __init__(self, plan: Plan, bucket: Bucket, own: OwnLogs, where: Where) -> None:
        self._plan, self._bucket, self._own, self.where = plan, bucket, own, where
        self.chain = Chain()
        self.last: int | None = None
        self.reach = ""
        self.uneven = self._evened = False
        self._committed: Callable[[], int] = lambda: 0
        self._from = 0  # the number to which all nodes were brought anew; what is before it means nothing

    def begin(self, committed: Callable[[], int], without: Sequence[str] = ()) -> None:
        """Finds out how far the archive is; at the very beginning, brings all nodes to one number.

        Args:
            committed: Galera's count.
            without: nodes that write no binary logs yet: their numbers would be others.

        Raises Waits, BucketError, SqlError.
        """
        self._committed = committed
        place, timeline = self._plan.place, self.where.timeline
        self.chain = chains.chain(self._whole())
        if self.chain.last is not None:
            self.last = self.chain.last
            log(f"archive: goes on after number {self.last} of {timeline}")
            return
        if without:
            raise Waits(f"waiting for binary logs of {', '.join(without)}")
        # A bucket that is not there lists nothing, too: whoever took that for a beginning would leave out
        # what the nodes still have of before.
        self._bucket.put(f"{place.logs(timeline)}/{layout.BEGUN}", f"{self.where.node}\n")
        uuid = timeline.partition(".")[0]
        others = [entry.key.strip("/") for entry in self._bucket.listed(place.root, deep=False)]
        if any(other.startswith(f"{uuid}.") for other in others if other != timeline):
            # Of the same cluster: those who have come to it since have their number with the data.
            self._own.close()
            self.last = self._own.position()
        else:
            self.last = self._own.align(committed()) - 1
        log(f"archive: begins after number {self.last} of {timeline}")

    def _whole(self) -> list[Span]:
        """The logs that are there: one whose data has gone from the bucket is none. Raises BucketError."""
        listed = self._bucket.listed(self._plan.place.logs(self.where.timeline))
        data = {layout.data_span(entry.key) for entry in listed if entry.size}
        told = [span for entry in listed if (span := layout.span(entry.key)) is not None]
        if lost := [span for span in told if span not in data]:
            log(f"archive: the data of {len(lost)} logs has gone from the bucket, first of {min(lost)}")
        return [span for span in told if span in data]

    def archive(
        self,
        now: Callable[[], datetime],
        written: Callable[[], object],
        going: Callable[[], object] = lambda: None,
    ) -> None:
        """Archives what there is, and notes how far that reaches.

        `written` is called after each log, `going` while one is on its way; what they raise ends it. Raises
        SqlError, BinlogError, OSError, PipelineError, BucketError.
        """
        if self.last is None:
            raise AssertionError("`begin` comes before")
        at, behind = now(), None
        try:
            position = self._own.position()
        except Behind as error:  # what is here is archived all the same
            position, behind = self._own.here(), error
        if position < self.last and behind is None:
            position = self._anew(position, self.last)
        if position > self.last:
            self._own.close()
        for piece in chains.wanted(self._own.closed(), self.last):
            self._one(piece.file, now, going)
            written()
        if behind is not None:
            raise behind
        if self.last >= position:
            reach = Reach(
                cluster=self._plan.place.cluster,
                timeline=self.where.timeline,
                node=self.where.node,
                at=manifest.said(at),
                last=self.last,
            )
            self._bucket.put(
                f"{self._plan.place.logs(self.where.timeline)}/{layout.REACH}", manifest.dumps(reach)
            )
            self.reach = reach.at

    def _anew(self, position: int, last: int) -> int:
        """Brings all nodes to one number once more; returns it.

        The cluster has given numbers that the archive has already, which a reader would leave out: the nodes
        ran without binary logs for a while, or a person has reset them. What lies between is a gap.
        """
        log(f"archive: the nodes are at number {position}, and {last} is archived: they are counted anew")
        self._from = self._own.align(max(self._committed(), last))
        return self._from

    def even(self) -> None:
        """Brings all nodes to one number after a gap: they may have come back to binary logs one by one, and
        whoever archives next would take another transaction for the one that is archived. Raises SqlError,
        BinlogError.
        """
        self._own.align(max(self._committed(), self.last or 0))
        self.uneven, self._evened = False, True

    def _what(self, file: str) -> tuple[Span | None, tuple[int, int], Span | None]:
        """What of a file is to be archived (None: nothing), when that began and ended, and the gap before."""
        found, last = self._own.extent(file), self.last or 0
        times = (found.first_time, found.last_time)
        if found.first is None or found.last is None or found.last <= last:
            return None, times, None
        # A file from before all nodes were brought to one number has older ones, which mean nothing.
        first = found.first
        if self.chain.first is None and first <= last:
            first = last + 1
        elif self.chain.first is not None:
            first = max(first, self.chain.first)
        if last < self._from <= found.last:
            first = max(first, self._from)
        elif first > last + 1 and self._own.follows(file, last):
            first = last + 1
        return Span(first, found.last), times, Span(last + 1, first - 1) if first > last + 1 else None

    def _one(self, file: str, now: Callable[[], datetime], going: Callable[[], object]) -> None:
        """One closed file."""
        span, times, gap = self._what(file)
        if span is None:
            return
        data, told = self._plan.place.log(self.where.timeline, span, self.where.node)
        begun = now()
        path = self._own.path(file)
        with path.open("rb") as source:
            made = pipeline.store(
                pipeline.of_file(source),
                self._bucket,
                data,
                self._plan.recipients,
                path.stat().st_size,
                waiting=going,
            )
        entry = Log(
            cluster=self._plan.place.cluster,
            timeline=self.where.timeline,
            node=self.where.node,
            server=self.where.server,
            begun=manifest.said(begun),
            ended=manifest.said(now()),
            domain=DOMAIN,
            gtid={"previous": self.chain.last, "first": span.first, "last": span.last},
            time={"first": _time(times[0]), "last": _time(times[1])},
            gap=None if gap is None else {"first": gap.first, "last": gap.last},
            file=file,
            object=data.rpartition("/")[2],
            bytes={"before": made.before, "stored": made.stored},
            sha256=made.sha256,
            recipients=self._plan.recipients,
        )
        self._bucket.put(told, manifest.dumps(entry))
        if gap is not None:
            log(
                f"archive: numbers {gap.first} to {gap.last} are in no log: no moment after them can be "
                "restored until there is a new full backup, which is made now"
            )
            self.uneven = not self._evened
        gaps = (*self.chain.gaps, gap) if gap is not None else self.chain.gaps
        self.chain = Chain(self.chain.first or span.first, span.last, gaps)
        self.last = span.last


def _time(seconds: int) -> str:
    return manifest.said(datetime.fromtimestamp(seconds, UTC))
