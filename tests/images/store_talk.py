"""Run in a container's network: what Galera's way to Consul (galera_node.consul) and a real agent say.

Prints a JSON object of what was found; what is expected of it is in test_consul_processes.py.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from images.galera.galera_node import stores
from images.galera.galera_node.consul import ConsulStore
from images.galera.galera_node.network import Names
from images.galera.galera_node.store import Put, SessionLost, StoreError


def made(store: str, secrets: Path) -> ConsulStore:
    opened = stores.made(store, "galera", secrets, Names())
    assert isinstance(opened, ConsulStore)
    return opened


def records(store: str, secrets: Path) -> dict[str, object]:
    """Writes with and without conditions, two sessions of one node, and one that is not renewed."""
    found: dict[str, object] = {}
    first, second = made(store, secrets), made(store, secrets)
    found["empty"] = first.read()
    found["made"] = first.commit({"cluster": 0}, {"cluster": Put("one"), "epoch": Put("")})
    found["made twice"] = first.commit({"cluster": 0}, {"cluster": Put("two")})
    revision = first.read()["cluster"].revision
    found["changed"] = first.commit({"cluster": revision}, {"cluster": Put("two")}, ("epoch",))
    found["changed late"] = first.commit({"cluster": revision}, {"cluster": Put("three"), "view": Put("v")})
    first.open_session(45)
    first.renew()
    first.commit({}, {"present/a": Put("before", bound=True), "bootstrap": Put("a", bound=True)})
    second.open_session(45)
    second.commit({"present/a": first.read()["present/a"].revision}, {"present/a": Put("now", bound=True)})
    found["both"] = {key: [entry.value, entry.own] for key, entry in sorted(second.read().items())}
    first.close_session()
    found["one left"] = {key: entry.value for key, entry in sorted(second.read().items())}
    second.close_session()
    found["none left"] = {key: entry.value for key, entry in sorted(second.read().items())}
    return found


def expiry(store: str, secrets: Path) -> dict[str, object]:
    """How long a session lives that nobody renews, and what its node hears then."""
    opened = made(store, secrets)
    opened.open_session(20)
    opened._session_closed.set()  # nobody renews it
    opened.renew()
    opened.commit({}, {"present/a": Put("here", bound=True)})
    began = time.monotonic()
    while "present/a" in opened.read() and time.monotonic() - began < 60:
        time.sleep(0.2)
    lived = time.monotonic() - began
    try:
        opened.commit({}, {"present/a": Put("again", bound=True)})
    except SessionLost as error:
        return {"lived": lived, "said": str(error), "left": list(opened.read())}
    return {"lived": lived}


def refusal(store: str, secrets: Path) -> dict[str, object]:
    """What is said to one that is not let in."""
    try:
        return {"read": {key: entry.value for key, entry in made(store, secrets).read().items()}}
    except StoreError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    words = {"records": records, "expiry": expiry, "refusal": refusal}
    print(json.dumps(words[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))))
