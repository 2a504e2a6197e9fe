"""What must hold of the database's TLS: facts in, checks out.

Owns: who is let in without it, whom the nodes trust, how long certificates are good. Leaves to others:
gathering the facts (facts/cluster.py), everything else about the nodes (galera.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from operations.checks.check import Check
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs

RENEWED = 365
"""Days before the end from which on an `up` renews a certificate (components/certificates.py)."""
SOON = 30
"""Days before the end from which on the check fails."""


def of_tls(outputs: Outputs, facts: Mapping[str, HostFacts], now: dt.datetime | None = None) -> list[Check]:
    """Each node speaks TLS alone, trusts one authority, and its certificates are good for a while; nothing of
    nodes of before, of which the outputs say no authority.
    """
    if not outputs.authority:
        return []
    now = now or dt.datetime.now(dt.UTC)
    return [check for name in outputs.members for check in _of_node(name, facts[name].node_status, now)]


def _of_node(name: str, status: Mapping[str, Any], now: dt.datetime) -> Iterator[Check]:
    own = _part(_part(status, "self"), "tls")
    about = _part(_part(status, "members"), name)
    mode, trusts = own.get("mode"), about.get("trusts", 0)
    found = {"only": "nobody else is let in", "both": "nodes without TLS are let in"}.get(str(mode), "no TLS")
    if mode and isinstance(trusts, int) and trusts > 1:
        found += ", and a former authority is trusted"
    yield Check(
        name,
        "nodes speak TLS alone, with one authority",
        mode == "only" and trusts == 1,
        found if status else "no answer to galera-node status --json",
        remedy="`up` ends a change that was interrupted; where it changes nothing: `galera-node secure` in "
        "the container of any node, until it says that all is done",
    )
    ends = [dt.datetime.fromisoformat(own[what]) for what in ("certificate", "authority") if own.get(what)]
    days = (min(ends) - now).days if len(ends) == 2 else -1
    yield Check(
        name,
        f"the database's certificates are good for {SOON} days",
        days >= SOON,
        f"{days} days, until {min(ends):%Y-%m-%d}" if len(ends) == 2 else "not known",
        warns=days < RENEWED,
        remedy="`up` renews them; the nodes take them one by one" if days < RENEWED else "",
    )


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, Mapping) else {}
