"""What the program declares for some stacks, as one comparable value: `declared.json` is what it was last.

A difference is a difference for every stack that exists: a URN that changes replaces a resource, a property
that changes updates or replaces it, a text that changes is run again on the hosts.

    python -m tests.unit.declared     writes the file anew; the commit says what the change does to a stack

Owns: the stacks, and what of a resource counts. Leaves to others: how the program is run (`program.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.unit.program import Recorded, run

FILE = Path(__file__).with_suffix(".json")
LONG = 200
"""Characters; longer texts stand as their digest, and those of the first stack also as lines."""
STACKS: dict[str, dict[str, Any]] = {
    "smallest": {},
    "with workers and settings": {
        "servers": {
            "managers": 5,
            "workers": 2,
            "prefix": "db",
            "cores": 4,
            "memory": 8192,
            "disks": [25, 100],
            "tags": ["blue"],
            "notes": "for tests",
            "publishedPorts": [80],
            "privateVlan": 2263002,
            "publicVlan": 2263001,
            "localDisk": False,
            "hourly": False,
            "nicSpeed": 1000,
            "protect": False,
            "replace": ["db-2"],
            "adopt": {"db-4": 4711},
        },
        "ssh": {"publicKey": "ssh-ed25519 AAAA", "privateKeyFile": None},
        "engine": {"dns": ["10.0.80.11"], "labels": {"rack": "7"}, "swarmPool": "172.31.0.0/16"},
        "network": {"name": "inside", "subnet": "10.21.0.0/24", "encrypted": False},
        "galera": {
            "config": {"max_connections": 500},
            "provider": {"gcache.size": "256M"},
            "clusterName": "c",
            "database": "app",
            "strictReplication": False,
            "stopGrace": 900,
            "dataPath": "/srv/mariadb",
        },
    },
    "with a load balancer": {
        "servers": {"managers": 1, "workers": 1, "publishedPorts": [6446]},
        "network": {"encrypted": False},
        "loadBalancer": {"image": "registry.lab:5000/haproxy:2.6-1", "readerPort": 3307},
    },
    "hosts of one's own": {
        "servers": {
            "kind": "existing",
            "hosts": [
                {"name": "db1", "address": "10.0.0.1"},
                {"name": "db2", "address": "10.0.0.2", "sshHost": "203.0.113.2", "user": "ops", "port": 2222},
                {"name": "db3", "address": "10.0.0.3", "disk": "/dev/sdb"},
                {"name": "db4", "address": "10.0.0.4", "user": "deploy", "port": 2222, "role": "worker"},
            ],
        },
    },
    "without firewall": {
        "servers": {"firewall": False, "image": "aaaa-bbbb", "os": None, "reloadToken": {"galera-3": "1"}}
    },
}


def of(recorded: Recorded, texts: dict[str, list[str]]) -> dict[str, Any]:
    """All resources by name and the outputs; long texts go to `texts`."""
    return {
        "resources": {
            name: {
                "type": made.typ,
                "parent": recorded.parents[name],
                "aliases": recorded.aliases[name],
                "protected": name in recorded.protected,
                "ignored": recorded.ignored[name],
                "replaced by": recorded.replacement_triggers.get(name, ""),
                "depends on": sorted(recorded.depends_on[name]),
                "secret": sorted(recorded.secret_inputs[name]),
                "inputs": _short(made.inputs, texts),
            }
            for name, made in sorted(recorded.resources.items())
        },
        "outputs": _short(recorded.outputs, texts),
        "secret outputs": sorted(recorded.secret_outputs),
    }


def _short(value: Any, texts: dict[str, list[str]]) -> Any:
    """The value, with its long texts replaced by their digests."""
    if isinstance(value, dict):
        return {str(key): _short(item, texts) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_short(item, texts) for item in value]
    if isinstance(value, str):
        value = value.replace(os.environ["XDG_STATE_HOME"], "/STATE")
    if isinstance(value, str) and len(value) > LONG:
        digest = hashlib.sha256(value.encode()).hexdigest()[:16]
        texts[digest] = value.split("\n")
        return f"text {digest}"
    return value


def everything() -> dict[str, Any]:
    """What the program declares for all stacks, as it would be written."""
    texts: dict[str, list[str]] = {}
    stacks: dict[str, Any] = {}
    for name, settings in STACKS.items():
        stacks[name] = of(run(settings), {} if stacks else texts)
    plain: dict[str, Any] = json.loads(json.dumps({"stacks": stacks, "texts": texts}, default=str))
    return plain


def main() -> None:
    """Write the file anew."""
    with tempfile.TemporaryDirectory() as state:
        os.environ |= {"XDG_STATE_HOME": state, "SL_USERNAME": "nobody", "SL_API_KEY": "marked-key"}
        os.environ["SSH_AUTH_SOCK"] = "/run/agent"
        FILE.write_text(json.dumps(everything(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
