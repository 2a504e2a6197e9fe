"""The `galera-node` command: the container's process, its health check, and what a person asks or tells.

Imports are inside the commands: the health check must not pay for the others.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

USAGE = """usage: galera-node run                the container's process
       galera-node health             exit code 0 when this node serves or makes progress
       galera-node status [--json]    what the store knows of the cluster, and what this node is
       galera-node forget NAME        NAME will not come (back): nobody waits for it. Should it come, its data
                                      is replaced by a full copy; transactions that only it had are lost
       galera-node remember NAME      takes that back, until the cluster has restarted without NAME
       galera-node recover-from NAME  nobody runs, and a person decides: the cluster restarts from the data of
                                      NAME, whatever the others have; these take a full copy when they come
       galera-node maintenance on|off [NAME]
                                      load balancers send nobody to NAME, by default this node; it replicates
                                      as before. It serves only where no other node can
       galera-node new-epoch          after a component was started by hand (pc.bootstrap): data of whoever is
                                      not in it takes a full copy
       galera-node secure             no node lets anybody in without TLS any more, or with a certificate of a
                                      former authority: they start anew for that, one after the other. Repeat
                                      it until the exit code is 0 (1: refused, 75: under way)
       galera-node pack DIR FILE      packs a data directory (when the image is built)"""

ASKED = (["status"], ["forget"], ["remember"], ["recover-from"], ["maintenance"], ["new-epoch"], ["secure"])
"""The first words of the commands that ask or tell the store."""


def run() -> int:
    """The container's process: its exit code, 2 where another start with the same settings fails the same."""
    from . import settings as settings_module
    from .endpoints import SOON, STORE, Endpoints
    from .network import RESOLVER_OPTIONS, Names, NoAddress
    from .sql import Sql
    from .stores import announced, store_of
    from .supervisor import Node
    from .words import log

    try:
        settings = settings_module.load()
        os.environ.setdefault("RES_OPTIONS", RESOLVER_OPTIONS)
        names = Names()
        store, other = store_of(settings, names), store_of(settings, names, timeout=STORE)
        endpoints = Endpoints(settings.node, Sql(settings.socket, timeout=SOON, patience=SOON), other)
        if (announcement := announced(settings, other, endpoints)) is not None:
            announcement.start()
        return Node(settings, store, names, endpoints).run()
    except (settings_module.SettingsError, NoAddress) as error:
        log(str(error))
        return 2
    except Exception as error:
        log(f"cannot start: {type(error).__name__}: {error}")
        return 1


def health() -> int:
    """What the engine asks every few seconds: 0 while the node serves or makes progress, with the reason."""
    from .health import check

    code, text = check(Path(os.environ.get("RUN_DIR", "/dev/shm/galera-node")))
    print(text)
    return code


def tell(argv: list[str]) -> int | None:
    """Runs one of the commands that ask or tell the store; None if `argv` is none of them."""
    from . import commands
    from .settings import SettingsError
    from .store import StoreError
    from .stores import store_here

    if argv[:1] not in ASKED or argv in (["forget"], ["remember"], ["recover-from"]):
        return None
    environ = os.environ
    try:
        store = store_here(environ)
        match argv:
            case ["status"] | ["status", "--json"]:
                size = environ.get("CLUSTER_SIZE", "3")
                return commands.status(
                    store,
                    Path(environ.get("RUN_DIR", "/dev/shm/galera-node")),
                    Path(environ.get("DATA_DIR", "/var/lib/mysql")),
                    int(size) if size.isdigit() else 3,
                    machine=argv[-1] == "--json",
                )
            case ["forget", name]:
                return commands.forget(store, name)
            case ["remember", name]:
                return commands.remember(store, name)
            case ["recover-from", name]:
                return commands.recover_from(store, name)
            case ["maintenance", "on" | "off" as word, *names] if len(names) < 2:
                name = names[0] if names else environ.get("NODE_NAME", "")
                return commands.maintain(store, name, word == "on")
            case ["secure"]:
                from .securing import secure

                return secure(store)
            case ["new-epoch"]:
                return commands.new_epoch(store, environ.get("NODE_NAME", ""))
    except (StoreError, SettingsError) as error:
        if argv == ["status", "--json"]:
            print(json.dumps(commands.report(None, {}, str(error))))
        print(error, file=sys.stderr)
        return 1
    return None


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code."""
    if argv == ["health"]:
        return health()
    if argv == ["run"]:
        return run()
    if len(argv) == 3 and argv[0] == "pack":
        from .seed_data import pack

        pack(Path(argv[1]), Path(argv[2]))
        return 0
    if argv in (["--help"], ["-h"], ["help"]) or argv[1:] == ["--help"]:
        print(USAGE)
        return 0
    if (code := tell(argv)) is not None:
        return code
    print(USAGE, file=sys.stderr)
    return 2
