"""`galera-node restore …` and `galera-node drill …`: what `operations` has a node do, step by step.

Each prints JSON, or lines of progress on standard error; the exit code says whether it was done, and one
message on standard error why not. A private key comes on standard input alone.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import settings as settings_module
from ..archive.plan import DOMAIN
from ..decision.restoring import OVER
from ..local_state import kept_from
from ..settings import Settings, SettingsError
from ..sql import Sql, SqlError
from ..store import Store, StoreError, parse
from ..stores import store_here
from . import archived, bootstrap, plan_words, record, report, scratch_server, sources, streams, tables
from .archived import ArchiveError
from .bootstrap import Beginning
from .fact import Restore
from .loading import Loading
from .plan import Plan, Unreachable
from .record import Commit, NotNow, Wanted
from .scratch import READ, ScratchError
from .streams import StreamError
from .tables import TablesError
from .target import Number, TargetError
from .target import parse as target_of

STACK = Path("/etc/mysql/mariadb.conf.d/90-stack.cnf")
"""The deployment's options of the server: some of them say how its files are to be read."""
USAGE = """usage: galera-node restore plan TO [TIMELINE]   what it would take; stdin: a private key or nothing
       galera-node restore begin                all nodes stop; stdin: the plan, with `by` in it
       galera-node restore load                 the archive into this node; stdin: a private key
       galera-node restore bootstrap            a new cluster from an archive (started by `run`)
       galera-node restore undo | done | status
       galera-node restore send TIMELINE NUMBER
       galera-node restore scratch drill | dump WHAT INTO ROOM
       galera-node drill sums | report"""
FAILURES = (
    NotNow,
    Unreachable,
    TargetError,
    ArchiveError,
    StreamError,
    ScratchError,
    TablesError,
    StoreError,
    SettingsError,
    SqlError,
    OSError,
)


def main(argv: list[str]) -> int:
    """Runs one command."""
    simple: dict[tuple[str, str], Callable[[], int]] = {
        ("restore", "begin"): lambda: _begin(json.loads(sys.stdin.read())),
        ("restore", "load"): lambda: _load(sys.stdin.read()),
        ("restore", "bootstrap"): lambda: _bootstrap(sys.stdin.read()),
        ("restore", "undo"): lambda: _step(record.undo),
        ("restore", "done"): lambda: _step(record.done),
        ("restore", "status"): _status,
        ("drill", "sums"): _sums,
        ("drill", "report"): lambda: _report(json.loads(sys.stdin.read())),
    }
    try:
        match argv:
            case ["restore", "plan", to, *timeline] if len(timeline) < 2:
                return _plan(to, timeline[0] if timeline else None)
            case ["restore", "send", timeline, number] if number.isdigit():
                return _send(timeline, int(number))
            case ["restore", "scratch", *words]:
                return scratch_server.main(words, sys.stdin.buffer)
            case [_, _] if tuple(argv) in simple:
                return simple[argv[0], argv[1]]()
    except FAILURES as error:
        print(error, file=sys.stderr)
        return 1
    except ValueError as error:  # of what came on standard input
        print(f"what was given is not JSON: {error}", file=sys.stderr)
        return 2
    print(USAGE, file=sys.stderr)
    return 2


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def _here() -> tuple[Settings, Store]:
    return settings_module.load(), store_here()


def _key(text: str) -> str | None:
    return streams.identity(text) if text.strip() else None


def _plan(to: str, timeline: str | None) -> int:
    settings, store = _here()
    target = target_of(to, datetime.now(UTC))
    key = _key(sys.stdin.read())
    facts = parse(store.read())
    now = archived.present(settings, facts, Sql(settings.socket, timeout=5.0, patience=5.0))
    made = archived.planned(archived.look(settings), target, now, timeline, key)
    print(json.dumps(_as_json(made, to, plan_words.told(made, now))))
    return 0


def _as_json(made: Plan, to: str, lines: list[str]) -> dict[str, Any]:
    return {
        "target": to,
        "timeline": made.timeline,
        "number": made.number,
        "position": None if made.number is None else made.gtid(made.number),
        "base": made.base.name,
        "logs": len(made.logs),
        "room": made.room,
        "growth": made.growth,
        "stored": made.stored,
        "lost": asdict(made.lost),
        "lines": lines,
    }


def _begin(given: dict[str, Any]) -> int:
    settings, store = _here()
    if not given.get("position"):
        raise NotNow("the plan has no exact position: it must be made with the private key")
    wanted = Wanted(
        id=secrets.token_hex(4),
        uuid=str(uuid.uuid4()),
        node=settings.node,
        target=str(given["target"]),
        position=str(given["position"]),
        timeline=str(given["timeline"]),
        base=str(given["base"]),
        by=str(given.get("by", "")),
    )
    entries = store.read()
    commit = record.begin(entries, parse(entries), wanted, settings.size, datetime.now(UTC))
    return _written(store, commit)


def _bootstrap(text: str) -> int:
    """A new cluster from an archive: the plan, its begin and the load, or the load alone."""
    settings, store = _here()
    beginning = bootstrap.read()
    if beginning is None:
        raise NotNow("this stack begins with no archive (bootstrapFrom)")
    facts = parse(store.read())
    if facts.restore is None or facts.restore.phase in OVER:
        target = target_of(beginning.to, datetime.now(UTC))
        now = archived.present(settings, facts, None)
        archive = archived.look(settings, beginning)
        made = archived.planned(archive, target, now, beginning.timeline or None, streams.identity(text))
        plan = _as_json(made, beginning.to, plan_words.told(made, now))
        for line in plan["lines"]:
            say(f"bootstrapFrom: {line}")
        _begin({**plan, "by": bootstrap.BY})
    return _load(text, beginning)


def _load(text: str, beginning: Beginning | None = None) -> int:
    key = streams.identity(text)
    settings, store = _here()
    archive = archived.look(settings, beginning)

    def plan_of(restore: Restore) -> Plan:
        number = target_of(restore.position, datetime.now(UTC))
        now = archived.present(settings, parse(store.read()), None)
        return archived.planned(archive, number, now, restore.timeline, key)

    Loading(settings, store, archive.source, plan_of, say).run(key)
    return 0


def _step(step: Callable[[Any, datetime], Commit]) -> int:
    _, store = _here()
    return _written(store, step(parse(store.read()), datetime.now(UTC)))


def _written(store: Store, commit: Commit) -> int:
    if not store.commit(commit.expect, commit.puts, commit.deletes):
        raise NotNow("something has just changed: look at it (galera-node status), then repeat")
    facts = parse(store.read())
    if facts.restore is not None:
        say(record.under_way(facts.restore, facts))
    return 0


def _status() -> int:
    settings, store = _here()
    facts = parse(store.read())
    restore = facts.restore
    told = {
        "node": settings.node,
        "free": shutil.disk_usage(settings.data_dir).free,
        "aside": kept_from(settings.data_dir),
        "keep": [] if restore is None else record.keep(facts, restore),
        "record": None if restore is None else {**asdict(restore), "former": sorted(restore.former)},
        "told": "" if restore is None else record.under_way(restore, facts),
        "runs": record.runs(facts),
        "formed": facts.cluster is not None and facts.cluster.phase == "formed",
        "uuid": None if facts.cluster is None else facts.cluster.uuid,
    }
    print(json.dumps(told))
    return 0


def _send(timeline: str, number: int) -> int:
    """The objects that lead to a number, framed, after their plan: for `scratch`, which has no network."""
    settings, store = _here()
    archive = archived.look(settings)
    now = archived.present(settings, parse(store.read()), None)
    made = archived.planned(archive, Number(archive.domain, 1, number), now, timeline, None)
    out = sys.stdout.buffer
    sources.head(out, made, STACK.read_text() if STACK.is_file() else "")
    sources.send(archive.source, [each.key for each in made.objects], out)
    return 0


def _sums() -> int:
    settings, _ = _here()
    told = [0.0]

    def tell(text: str) -> None:
        if (now := datetime.now(UTC).timestamp()) - told[0] >= 5.0:
            told[0] = now
            say(f"  {text}")

    print(json.dumps(tables.of_cluster(Sql(settings.socket, patience=READ), DOMAIN, tell).as_json()))
    return 0


def _report(given: dict[str, Any]) -> int:
    """Notes a drill: `values` of the report, and `cluster` and `restored` where both were summed up."""
    _, store = _here()
    values, differs = dict(given.get("values") or {}), []
    if given.get("cluster") and given.get("restored"):
        cluster, restored = tables.sums_from(given["cluster"]), tables.sums_from(given["restored"])
        differs = tables.differences(cluster, restored)
        values |= {"tables": len(cluster.tables), "rows": cluster.rows}
    elif not values.get("failed"):
        values["failed"] = "there is nothing to compare"
    made = report.made(values, differs, datetime.now(UTC))
    store.commit({}, report.puts(made))
    print(json.dumps({**asdict(made), "equal": made.good, "told": made.told()}))
    return 0
