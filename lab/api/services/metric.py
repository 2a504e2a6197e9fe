"""SoftLayer_Metric_Tracking_Object: how much a server has sent and received."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lab.api import errors
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.meter import SLOT
from lab.api.records import Guest, iso
from lab.api.service import Service, exposed
from lab.api.views_guest import tracking_view

HOUR = 3600
TYPES = {
    "publicIn_net_octet": "public_in",
    "publicOut_net_octet": "public_out",
    "privateIn_net_octet": "private_in",
    "privateOut_net_octet": "private_out",
}
"""SoftLayer's names of what is counted, in octets, from the server's point of view."""
_MEASURED = {name.upper(): name for name in TYPES}
_NOT_MEASURED = ("CPU", "MEMORY")


class MetricTrackingObject(Service):
    """The metrics of a server. Of processors and memory there are none: the lab does not measure them."""

    name = "Metric_Tracking_Object"

    def _guest(self, call: Call) -> Guest:
        number = call.number()
        for guest in self.lab.store.all(Guest):
            if guest.tracking_id == number:
                return guest
        raise errors.not_found(number)

    def entity(self, call: Call) -> Entity:
        return tracking_view(self._guest(call))

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("getBandwidthData")
    def get_bandwidth_data(
        self,
        call: Call,
        start: str | None = None,
        end: str | None = None,
        side: str | None = None,
        rollup: int | None = None,
    ) -> list[dict[str, Any]]:
        if side not in (None, "", "public", "private"):
            raise errors.invalid_value("type", "It must be public or private, or nothing for both.")
        names = [name for name in TYPES if name.startswith(side or "")]
        return self._points(call, start, end, names, rollup or HOUR)

    @exposed("getSummaryData")
    def get_summary_data(
        self,
        call: Call,
        start: str | None = None,
        end: str | None = None,
        wanted: list[dict[str, Any]] | None = None,
        period: int | None = None,
    ) -> list[dict[str, Any]]:
        names = []
        for entry in wanted or []:
            name = str(entry.get("keyName"))
            if name in _MEASURED:
                names.append(_MEASURED[name])
            elif not name.startswith(_NOT_MEASURED):
                raise errors.invalid_value("validTypes", f"There is no metric data type {name}.")
        return self._points(call, start, end, names, period or HOUR)

    def _points(
        self, call: Call, start: str | None, end: str | None, names: list[str], period: int
    ) -> list[dict[str, Any]]:
        """One for each period in which something was read, and each name."""
        if period < SLOT or period % SLOT:
            raise errors.invalid_value(
                "rollupSeconds", "It must be 300, 600, 1800, 3600, 43200 or 86400 seconds."
            )
        guest = self._guest(call)
        first, last = _moment(start, "startDateTime"), _moment(end, "endDateTime")
        sums: dict[int, dict[str, int]] = {}
        for slot in self.lab.meter.slots(guest.id):
            if (first is None or slot.begin + SLOT > first) and (last is None or slot.begin < last):
                at = sums.setdefault(slot.begin // period * period, dict.fromkeys(names, 0))
                for name in names:
                    at[name] += getattr(slot.passed, TYPES[name])
        # As floating point numbers: in XML-RPC, whole ones end at two thousand million.
        return [
            {"dateTime": iso(begin), "type": name, "counter": float(octets)}
            for begin, at in sorted(sums.items())
            for name, octets in at.items()
        ]


def _moment(text: str | None, name: str) -> float | None:
    """Seconds since the epoch of a date with or without time and offset, such as 2019-3-4. Raises Fault."""
    if not text:
        return None
    date, separator, clock = text.strip().replace(" ", "T").partition("T")
    parts = date.split("-")
    padded = "-".join(part.zfill(2) for part in parts) if len(parts) == 3 else date
    try:
        moment = datetime.fromisoformat(f"{padded}{separator}{clock}")
    except ValueError:
        raise errors.invalid_value(name, f"'{text}' is no date, such as 2019-03-04T00:00:00.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
