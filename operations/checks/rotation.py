"""What must hold of what is rotated: facts in, checks out.

Owns: how long the store's certificates are good, how old passwords are, whether former ones count too long.
Leaves to others: gathering the facts (facts/rotation.py), the database's and the engines' certificates
(tls.py, engine.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from operations.checks.check import Check
from operations.checks.tls import RENEWED, SOON
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs

AUTHORITIES: Mapping[str, int] = {"etcd": 2, "consul": 1}
"""Of a store that is not being rotated: etcd's peers have one of their own."""
LONG = 30
"""Days for which a former password may count beside the new one before that is a warning."""


def of_rotation(
    outputs: Outputs, facts: Mapping[str, HostFacts], now: dt.datetime | None = None
) -> list[Check]:
    """Certificates of the store on each manager that has one; the passwords, which are the same on all."""
    now = now or dt.datetime.now(dt.UTC)
    holders = outputs.store_servers or tuple(host.name for host in outputs.managers)
    checks = [_certificates(outputs.store, name, facts[name], now) for name in holders]
    return [*checks, *_passwords(facts, now)]


def _certificates(store: str, name: str, seen: HostFacts, now: dt.datetime) -> Check:
    told = seen.rotation
    days = -1 if told.ends is None else (told.ends - now).days
    former = ""
    if told.authorities > AUTHORITIES.get(store, told.authorities):
        former = ", and a former authority is trusted"
    return Check(
        name,
        f"{store}'s certificates are good for {SOON} days",
        days >= SOON,
        "not known" if told.ends is None else f"{days} days, until {told.ends:%Y-%m-%d}{former}",
        warns=days < RENEWED,
        remedy="`up` renews them; members take them one by one" if days < RENEWED else "",
    )


def _passwords(facts: Mapping[str, HostFacts], now: dt.datetime) -> Iterator[Check]:
    """Age is for a person to judge, and no reason for a warning; a former password that is forgotten is."""
    known = next((seen.rotation.passwords for seen in facts.values() if seen.rotation.passwords), {})
    if not known:
        return
    both = sorted(user for user, each in known.items() if each.counting > 1)
    since = [each.changed for each in known.values() if each.changed is not None]
    days = (now - min(since)).days if since else None
    age = "set at an unknown time" if days is None else f"set {days} days ago"
    long = bool(both) and days is not None and days > LONG
    yield Check(
        "cluster",
        "one password counts for each account, or two for a while",
        all(each.counting <= 2 for each in known.values()),
        f"{age}, and those before count for {', '.join(both)}" if both else age,
        warns=long,
        remedy="once all clients have the new one, end the former: galera.passwords.ended, then `up`"
        if long
        else "",
    )
