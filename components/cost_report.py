"""The estimated cost of a plan, as people read it in the preview.

Owns: the table. Leaves to others: the prices (components/softlayer/cost.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from components.softlayer.cost import NOTHING, Estimate, Price


def table(estimate: Estimate, adopted: Sequence[str] = ()) -> str:
    """Hosts of equal price on one line, then the sum, then what the plan changes.

    Args:
        adopted: hosts that the stack takes over; they are not in the estimate.
    """
    groups: dict[tuple[Decimal, Decimal], list[str]] = {}
    for host, price in estimate.hosts.items():
        groups.setdefault((price.hourly, price.monthly), []).append(host)
    rows = [("", "hourly", "monthly")]
    rows += [(f"each of {_names(hosts)}", *_amounts(estimate.hosts[hosts[0]])) for hosts in groups.values()]
    rows.append((f"in all ({len(estimate.hosts)})", *_amounts(estimate.total)))
    if estimate.before.monthly:
        rows.append(("now", *_amounts(estimate.before)))
        if estimate.adds:
            rows.append(("added", *_signed(estimate.added)))
        if estimate.removes:
            rows.append(("removed", *_signed(NOTHING - estimate.removed)))
        rows.append(("change", *_signed(estimate.change)))
    width = max(len(name) for name, *_ in rows)
    lines = [f"Estimated cost in {estimate.currency}:"]
    lines += [f"  {name:<{width}}  {hourly:>9}  {monthly:>10}" for name, hourly, monthly in rows]
    changes = (
        ("will be ordered", estimate.adds),
        ("will be resized", estimate.resized),
        ("will be cancelled", estimate.removes),
        ("adopted and not counted", adopted),
    )
    lines += [f"  {what}: {_names(hosts)}" for what, hosts in changes if hosts]
    return "\n".join(lines)


def _signed(price: Price) -> tuple[str, str]:
    return f"{price.hourly:+.3f}", f"{price.monthly:+.2f}"


def _amounts(price: Price) -> tuple[str, str]:
    return f"{price.hourly:.3f}", f"{price.monthly:.2f}"


def _names(hosts: Sequence[str]) -> str:
    """Few names in full, many by the first, the last and their number."""
    return ", ".join(hosts) if len(hosts) <= 5 else f"{hosts[0]} … {hosts[-1]} ({len(hosts)})"
