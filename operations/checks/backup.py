"""What must hold of the backups: facts in, checks out.

Owns: reading what the nodes say of them. Leaves to others: when a backup is too old, and what else is wrong
(images/galera, `archive.judgement`, which the nodes have), gathering the facts (facts/cluster.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operations.checks.check import Check
from operations.facts.cluster import HostFacts
from operations.facts.galera_variables import LOGGED
from operations.outputs import Outputs


def told(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Mapping[str, Any]:
    """What the first node says that knows of backups; empty if none does."""
    for name in outputs.members:
        found = facts[name].node_status.get("backup") if name in facts else None
        if isinstance(found, Mapping):
            return found
    return {}


def making(outputs: Outputs, facts: Mapping[str, HostFacts]) -> str:
    """The node that makes a backup now, and is out of flow control for that; empty for none."""
    archive = told(outputs, facts).get("archive")
    if not isinstance(archive, Mapping) or not archive.get("running"):
        return ""
    return str(archive.get("node", ""))


def of_backup(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """All that the nodes say must hold; nothing of a stack without backups."""
    if not outputs.backup:
        return []
    found = told(outputs, facts)
    if not found:
        silent = [name for name in outputs.members if not facts[name].node_status.get("cluster")]
        why = f"no answer from {', '.join(silent)}" if silent else "the nodes know nothing of backups"
        remedy = (
            "an image that makes backups (galera.image, docs/how-to/backup.md); else what keeps the nodes"
        )
        return [Check("cluster", "backups are made", False, why, remedy=remedy)]
    return [
        _logged(outputs, facts),
        *(
            Check(
                "cluster",
                str(sentence.get("what", "")),
                bool(sentence.get("ok")),
                str(sentence.get("found", "")),
                remedy=str(sentence.get("remedy", "")),
            )
            for sentence in found.get("sentences", ())
            if isinstance(sentence, Mapping)
        ),
    ]


def _logged(outputs: Outputs, facts: Mapping[str, HostFacts]) -> Check:
    """Every node writes binary logs from which the cluster can be restored."""
    wrong = [
        f"{name} is {facts[node].galera.get(name, 'unknown')} on {node}, not {value}"
        for node in outputs.members
        for name, value in LOGGED.items()
        if facts[node].galera.get(name) != value
    ]
    return Check(
        "cluster",
        "binary logs of every node are fit to restore from",
        not wrong,
        "; ".join(wrong) or "so they are",
        remedy="`up`, which gives the nodes their settings; one that was not started anew has the former ones"
        if wrong
        else "",
    )
