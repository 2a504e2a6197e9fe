"""The step after which no node lets anybody in without TLS, and each trusts the present authority alone.

A person, or the program that has changed all nodes, says so to any one of them (`galera-node secure`), and
again until all is done: the nodes then start anew, one after the other (`one_by_one`). Owns when that may be
said, and how far it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from . import tls
from .store import Facts, Put, Store, parse

DONE, REFUSED, UNDER_WAY = 0, 1, 75


def secure(store: Store) -> int:
    """Agrees, if all nodes are there for it; says how far they are. The exit code is one of the above."""
    facts = parse(store.read())
    members = {*facts.nodes, *(facts.view.members if facts.view is not None else ())} - facts.forgotten
    if why := "; ".join(_not_ready(facts, members)):
        if not facts.tls:
            print(f"not all nodes are ready to speak TLS alone: {why}", file=sys.stderr)
            return REFUSED
        print(f"under way: {why}")
        return UNDER_WAY
    authority = next(facts.about(name).authority for name in members)
    expect = {"tls": facts.revision("tls")}
    if facts.tls != authority and not store.commit(expect, {"tls": Put(authority)}):
        print("under way: something has just changed")
        return UNDER_WAY
    if behind := sorted(_behind(facts, members)):
        print(f"under way: {', '.join(behind)} will start anew, one after the other")
        return UNDER_WAY
    print("all nodes speak TLS alone, and trust one authority")
    return DONE


def _not_ready(facts: Facts, members: set[str]) -> Iterator[str]:
    """Why not all could speak TLS alone, with the present authority: they would lose one another."""
    if not members:
        yield "no node has ever been Synced"
    authorities = set()
    for name in sorted(members):
        presence, about = facts.present.get(name), facts.about(name)
        if presence is None:
            yield f"{name} is not there"
        elif not about.tls:
            yield f"{name} speaks no TLS: it runs an older image, or without the secrets"
        elif presence.state != "synced":
            yield f"{name} is {presence.state}"
        authorities.add(about.authority)
    if len(authorities - {""}) > 1:
        yield "they have certificates of different authorities: an update is under way"


def _behind(facts: Facts, members: set[str]) -> Iterator[str]:
    for name in members:
        about = facts.about(name)
        if about.tls != tls.ONLY or about.trusts != 1:
            yield name
