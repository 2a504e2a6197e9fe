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
       galera-node maintenance on|off [NAME] [--note TEXT]
                                      load balancers send nobody to NAME, by default this node; it replicates
                                      as before. It serves only where no other node can. TEXT is shown
                                      with it
       galera-node new-epoch          after a component was started by hand (pc.bootstrap): data of whoever is
                                      not in it takes a full copy
       galera-node secure             no node lets anybody in without TLS any more, or with a certificate of a
                                      former authority: they start anew for that, one after the other. Repeat
                                      it until the exit code is 0 (1: refused, 75: under way)
       galera-node backups [--json]   the backups that the store knows of, and whether all is as it must be
       galera-node backup full|incremental
                                      the node that archives makes one now; prints the request's id
       galera-node archive            the process beside mariadbd that archives (started by `run`)
       galera-node restore …, drill … steps of `python -m operations restore`, and of a drill
       galera-node pack DIR FILE      packs a data directory (when the image is built)
forget, remember, recover-from and new-epoch take --by WHO, which is kept with what and when, for status"""

ASKED = (
    ["status"],
    ["forget"],
    ["remember"],
    ["recover-from"],
    ["maintenance"],
    ["new-epoch"],
    ["secure"],
)
"""The first words of the commands that ask or tell the store."""
BY = (["forget"], ["remember"], ["recover-from"], ["new-epoch"])
"""Those which say who decides."""


def run() -> int:
    """The container's process: its exit code, 2 where another start with the same settings fails the same."""
    from . import settings as settings_module
    from .endpoints import SOON, STORE, Endpoints
    from .network import RESOLVER_OPTIONS, Names, NoAddress
    from .restore import scheduled
    from .sql import Sql
    from .stores import announced, store_of
    from .supervisor import Node
    from .words import log

    try:
        settings = settings_module.load()
        os.environ.setdefault("RES_OPTIONS", RESOLVER_OPTIONS)
        names = Names()
        if scheduled.wanted():
            return scheduled.Drills(settings, store_of(settings, names)).run()
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


def archive() -> int:
    """The process that archives; its exit code means nothing."""
    from . import settings as settings_module
    from .archive import plan
    from .archive.archiver import Archiver
    from .network import RESOLVER_OPTIONS, Names
    from .sql import Sql
    from .stores import store_of
    from .words import log

    try:
        settings = settings_module.load()
        os.environ.setdefault("RES_OPTIONS", RESOLVER_OPTIONS)
        found = plan.read(settings.cluster)
        if found is None:
            log("archive: there is no backup.json, so there is nothing to archive to")
            return 2
        store = store_of(settings, Names())
        return Archiver(settings, found, store, lambda: Sql(settings.socket)).run()
    except settings_module.SettingsError as error:
        log(f"archive: {error}")
        return 2


def health() -> int:
    """What the engine asks every few seconds: 0 while the node serves or makes progress, with the reason."""
    from .health import check

    code, text = check(Path(os.environ.get("RUN_DIR", "/dev/shm/galera-node")))
    print(text)
    return code


def said(argv: list[str], option: str) -> tuple[list[str], str | None]:
    """The words without an option and its value, and that value; None where it is not there."""
    if option not in argv[:-1]:
        return argv, None
    at = argv.index(option)
    return [*argv[:at], *argv[at + 2 :]], argv[at + 1]


def tell(argv: list[str]) -> int | None:
    """Runs one of the commands that ask or tell the store; None if `argv` is none of them."""
    from . import commands
    from .archive import plan
    from .settings import SettingsError
    from .store import StoreError
    from .stores import store_here

    argv, note = said(argv, "--note") if argv[:1] == ["maintenance"] else (argv, None)
    argv, who = said(argv, "--by") if argv[:1] in BY else (argv, None)
    by = who or ""
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
                    backups=plan.read(environ.get("CLUSTER_NAME", "")),
                )
            case ["forget", name]:
                return commands.forget(store, name, by)
            case ["remember", name]:
                return commands.remember(store, name, by)
            case ["recover-from", name]:
                return commands.recover_from(store, name, by)
            case ["maintenance", "on" | "off" as word, *names] if len(names) < 2:
                name = names[0] if names else environ.get("NODE_NAME", "")
                return commands.maintain(store, name, word == "on", note)
            case ["secure"]:
                from .securing import secure

                return secure(store)
            case ["new-epoch"]:
                return commands.new_epoch(store, environ.get("NODE_NAME", ""), by)
    except (StoreError, SettingsError) as error:
        if argv == ["status", "--json"]:
            print(json.dumps(commands.report(None, {}, str(error))))
        print(error, file=sys.stderr)
        return 1
    return None


def ask_of_backups(argv: list[str]) -> int | None:
    """Runs one of the commands about backups; None if `argv` is none of them."""
    from .archive import plan, telling
    from .settings import SettingsError
    from .store import StoreError
    from .stores import store_here

    try:
        store, found = store_here(os.environ), plan.read(os.environ.get("CLUSTER_NAME", ""))
        match argv:
            case ["backups"] | ["backups", "--json"]:
                return telling.backups(found, store, machine=argv[-1] == "--json")
            case ["backup", "full" | "incremental" as kind]:
                return telling.ask(found, store, kind)
    except (StoreError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    return None


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code."""
    if argv == ["health"]:
        return health()
    if argv == ["run"]:
        return run()
    if argv == ["archive"]:
        return archive()
    if argv[:1] in (["restore"], ["drill"]):
        from .restore.console import main as console

        return console(argv)
    if len(argv) == 3 and argv[0] == "pack":
        from .seed_data import pack

        pack(Path(argv[1]), Path(argv[2]))
        return 0
    if argv in (["--help"], ["-h"], ["help"]) or argv[1:] == ["--help"]:
        print(USAGE)
        return 0
    about = ask_of_backups if argv[:1] in (["backup"], ["backups"]) else tell
    if (code := about(argv)) is not None:
        return code
    print(USAGE, file=sys.stderr)
    return 2
