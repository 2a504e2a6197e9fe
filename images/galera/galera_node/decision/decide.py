"""Which situation a node is in, and with it which rules count: see the package for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..local_state import Kind, Local
from ..neighbours import Told
from ..store import Facts
from .others import Site, unknown_to
from .outcomes import Decision, Refuse
from .restoring import restoring
from .with_data import with_data
from .without_data import without_data
from .without_store import without_store


def decide(
    node: str,
    site: Site | int,
    local: Local,
    facts: Facts | None,
    live: Sequence[str],
    told: Mapping[str, Told] | None = None,
) -> Decision:
    """What node `node` does now.

    `facts` is None while the store does not answer. `live` are the other nodes' addresses whose Galera port
    has just accepted a connection; the own address is not among them. `told`: what the nodes at some of them
    say of themselves, asked where the store does not know. `local` carries a certain position if there is
    data (recovered from InnoDB after a crash).
    """
    site = Site(site) if isinstance(site, int) else site
    told = told or {}
    if local.kind is Kind.FOREIGN:
        return Refuse(
            "the volume holds files that are no database's. Nothing is touched: move them away, or mount the "
            "right volume."
        )
    if facts is None:
        return without_store(local, live, told)
    others = {name: presence for name, presence in facts.present.items() if name != node}
    if (decision := restoring(node, local, facts, others, live)) is not None:
        return decision
    if local.kind is Kind.DATA:
        return with_data(node, site, local, facts, others, live, told)
    return without_data(node, site, facts, others, live)


def wants_told(facts: Facts | None, live: Sequence[str]) -> bool:
    """Whether the decision needs what live nodes say of themselves."""
    return bool(live) and (facts is None or facts.cluster is None or bool(unknown_to(facts, live)))
