"""Steps on a manager in the state of a stack that an older version made: there they are the first manager's.

Owns: which they are, and their move within an exported state. Imports no Pulumi.
Leaves to others: when a state is moved (operations/stack.py), steps as they are now (remote.py).

A step on any manager is another type of resource than one on a host. Pulumi would make the one and delete the
other, whose `delete` takes its node out of the swarm; and the official plugin refuses to take over what
another type left (an alias: "Unrecognized field 'connection'"). So their entries in the state are written
anew, once, with what they would have now. Nothing runs for it. Until then they are declared as they were.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMERLY, NOW = "command:remote:Command", "command:local:Command"
ON_A_MANAGER = re.compile(
    r"swarm-started|swarm-.+-node|network-(free|left)|.+-image-resolved|.+-running|.+-formed|etcd-users"
    r"|galera-tls|application-database|taken-down-looked|swarm-autolock-(on|key|off)"
)
"""Names of the steps that any manager may do."""


def former(urns: Iterable[str]) -> dict[str, str]:
    """The URNs that they have now, by those of before."""
    found = {}
    for urn in urns:
        head, _, name = urn.rpartition("::")
        if head.endswith(FORMERLY) and ON_A_MANAGER.fullmatch(name):
            found[urn] = f"{head.removesuffix(FORMERLY)}{NOW}::{name}"
    return found


def moved(exported: Mapping[str, Any], interpreter: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The state with these steps as steps on any manager, and their names; none where there is none to move.

    Args:
        exported: of `pulumi stack export`.
        interpreter: what runs a command line on a manager.
    """
    resources = (exported.get("deployment") or {}).get("resources") or ()
    names = former(str(each["urn"]) for each in resources)
    if not names:
        return dict(copy.deepcopy(exported)), []
    text = json.dumps(exported)
    for old, new in names.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    state: dict[str, Any] = json.loads(text)
    for each in state["deployment"]["resources"]:
        if each["urn"] not in names.values():
            continue
        each["type"] = NOW
        for part in ("inputs", "outputs"):
            if part in each:
                each[part].pop("connection", None)
                each[part]["interpreter"] = list(interpreter)
        (each.get("propertyDependencies") or {}).pop("connection", None)
    return state, [old.rpartition("::")[2] for old in names]
