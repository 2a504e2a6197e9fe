"""The `galera-node` command: `run` (the container's process), `health`, `status`, `forget NODE`, `pack`.

Imports are inside the commands: the health check must not pay for the others.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

USAGE = """usage: galera-node run             the container's process
       galera-node health          exit code 0 when this node serves or makes progress
       galera-node status          what the store knows of the cluster
       galera-node forget NODE     NODE is lost for good: recovery need not wait for it
       galera-node pack DIR FILE   packs a data directory (when the image is built)"""


def run() -> int:
    from . import settings as settings_module
    from .etcd import EtcdStore
    from .network import RESOLVER_OPTIONS, Names, NoAddress
    from .supervisor import Node
    from .words import log

    try:
        settings = settings_module.load()
        os.environ.setdefault("RES_OPTIONS", RESOLVER_OPTIONS)
        names = Names()
        return Node(settings, EtcdStore(settings.store, settings.cluster, names=names), names).run()
    except (settings_module.SettingsError, NoAddress) as error:
        log(str(error))
        return 2


def health() -> int:
    from .health import check

    code, text = check(Path(os.environ.get("RUN_DIR", "/dev/shm/galera-node")))
    print(text)
    return code


def status() -> int:
    from .etcd import EtcdStore
    from .store import StoreError, parse

    try:
        facts = parse(EtcdStore(os.environ.get("STORE", ""), os.environ.get("CLUSTER_NAME", "")).read())
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    cluster = facts.cluster
    if cluster is None:
        print("no cluster has ever existed here")
    else:
        print(f"cluster {cluster.uuid}, {cluster.phase}, seed {cluster.seed}")
    if facts.holder is not None:
        print(f"{facts.holder} holds the right to bootstrap")
    for name in sorted({*facts.nodes, *facts.present, *facts.forgotten}):
        position, presence = facts.nodes.get(name), facts.present.get(name)
        now = f"{presence.state} at {presence.address}" if presence is not None else "absent"
        never = "forgotten" if name in facts.forgotten else "never Synced"
        last = f"published {position.seqno}" if position is not None else never
        print(f"{name}: {now}, {last}")
    return 0


def forget(node: str) -> int:
    from .etcd import EtcdStore
    from .store import Put, StoreError, parse

    store = EtcdStore(os.environ.get("STORE", ""), os.environ.get("CLUSTER_NAME", ""))
    try:
        facts = parse(store.read())
        if node not in facts.nodes and node in facts.forgotten:
            print(f"{node} is forgotten already")
            return 0
        if node not in facts.nodes:
            print(
                f"{node} is not a member; members: {', '.join(sorted(facts.nodes)) or 'none'}",
                file=sys.stderr,
            )
            return 1
        presence = facts.present.get(node)
        if presence is not None and presence.state not in ("empty", "stopped"):
            print(
                f"{node} runs ({presence.state}); stop it first. One that died is seen as gone after 45 s",
                file=sys.stderr,
            )
            return 1
        key = f"nodes/{node}"
        if not store.commit({key: facts.revision(key)}, {f"forgotten/{node}": Put("")}, (key,)):
            print(f"{node} has just published; look at galera-node status", file=sys.stderr)
            return 1
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{node} is forgotten; transactions that only it had are lost")
    return 0


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code."""
    if argv == ["health"]:
        return health()
    if argv == ["run"]:
        return run()
    if argv == ["status"]:
        return status()
    if len(argv) == 2 and argv[0] == "forget":
        return forget(argv[1])
    if len(argv) == 3 and argv[0] == "pack":
        from .seed_data import pack

        pack(Path(argv[1]), Path(argv[2]))
        return 0
    print(USAGE, file=sys.stderr)
    return 2
