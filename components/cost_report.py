"""The estimated cost of a plan, as people read it in the preview.

Owns: the table. Leaves to others: the prices (components/softlayer/cost.py).
"""

from __future__ import annotations

from components.softlayer.cost import Estimate, Price


def table(estimate: Estimate) -> str:
    """Hosts of equal price on one line, then the sum and what changes."""
    groups: dict[tuple[object, object], list[str]] = {}
    for host, price in estimate.hosts.items():
        groups.setdefault((price.hourly, price.monthly), []).append(host)
    rows = [("host", "hourly", "monthly")]
    rows += [(_names(hosts), *_amounts(estimate.hosts[hosts[0]])) for hosts in groups.values()]
    rows.append((f"all {len(estimate.hosts)}", *_amounts(estimate.total)))
    width = max(len(row[0]) for row in rows)
    lines = [f"Estimated cost ({estimate.currency}):"]
    lines += [f"  {name:<{width}}  {hourly:>10}  {monthly:>10}" for name, hourly, monthly in rows]
    if estimate.adds:
        lines.append(f"  new: {_names(list(estimate.adds))}")
    if estimate.removes:
        lines.append(f"  no longer: {_names(list(estimate.removes))}")
    return "\n".join(lines)


def _amounts(price: Price) -> tuple[str, str]:
    return f"{price.hourly:.3f}", f"{price.monthly:.2f}"


def _names(hosts: list[str]) -> str:
    """Few names in full, many by the first, the last and their number."""
    return ", ".join(hosts) if len(hosts) <= 3 else f"{hosts[0]} … {hosts[-1]} ({len(hosts)}, each)"
