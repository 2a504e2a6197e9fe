"""What a person or `operations` asks a node about backups: `galera-node backups`, `backup`, `status`."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ..restore import report as drill
from ..store import Entry, Put, Store, parse
from . import layout, records
from .judgement import ago, judge
from .plan import Plan
from .records import Backup, Wanted

OFF = "the stack has no backup: its settings have no section `backup` (docs/how-to/backup.md)"


def report(plan: Plan | None, entries: Mapping[str, Entry], now: datetime) -> dict[str, Any] | None:
    """All of it for machines; None where there are to be no backups."""
    if plan is None:
        return None
    facts, known = parse(entries), records.known(entries)
    cluster = facts.cluster
    timeline = "" if cluster is None else layout.timeline(cluster.uuid, cluster.epoch)
    return {
        "timeline": timeline,
        "place": f"{plan.target.bucket}/{plan.place.root}",
        "endpoint": plan.target.endpoint,
        "archiver": known.archiver or None,
        "archive": asdict(known.archive),
        "bases": [asdict(base) for base in known.bases],
        "wanted": None if known.wanted is None else asdict(known.wanted),
        "drill": drill.known(entries),
        "sentences": [asdict(sentence) for sentence in judge(plan, known, timeline, now)],
    }


def backups(plan: Plan | None, store: Store, machine: bool) -> int:
    """Lists them; 1 where one thing is not as it must be, for `machine` (JSON) 0. Raises StoreError."""
    entries = store.read()
    now = datetime.now(UTC)
    told = report(plan, entries, now)
    if machine:
        print(json.dumps(told))
        return 0
    if told is None:
        print(OFF, file=sys.stderr)
        return 1
    for base in records.known(entries).bases:
        print(line(base, told["timeline"], now))
    for sentence in told["sentences"]:
        print(f"{'ok' if sentence['ok'] else 'NOT'}: {sentence['what']}: {sentence['found']}")
    return 0 if all(sentence["ok"] for sentence in told["sentences"]) else 1


def line(base: Backup, timeline: str, now: datetime) -> str:
    """One backup for a person."""
    former = "" if base.timeline == timeline else f", of the former timeline {base.timeline}"
    return (
        f"{base.name}: {ago(now - base.began)} old, from {base.node}, number {base.gtid}, "
        f"{base.before / 1e6:.1f} MB ({base.stored / 1e6:.1f} MB stored){former}"
    )


def ask(plan: Plan | None, store: Store, kind: str) -> int:
    """Asks for a base now; prints the request's id. Raises StoreError."""
    if plan is None:
        print(OFF, file=sys.stderr)
        return 1
    wanted = Wanted(secrets.token_hex(6), kind)
    store.commit({}, {records.WANTED: Put(wanted.dumps())})
    print(wanted.id)
    return 0
