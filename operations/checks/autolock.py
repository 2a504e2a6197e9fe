"""What must hold of the swarm's autolock: facts in, checks out.

Owns: that it is on, with the key that the state has. Leaves to others: who is locked (cluster.py),
gathering the facts (facts/cluster.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from operations.checks.check import Check
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs

ON_AGAIN = "`pulumi up --replace '**swarm-autolock-on'` turns it on again, with a new key"
ROTATED = (
    "somebody has rotated the key by hand, and the state can't unlock a manager whose engine restarts: raise "
    "swarm.unlockKeyGeneration by one, then `up`"
)


def of_autolock(outputs: Outputs, facts: Mapping[str, HostFacts]) -> list[Check]:
    """One check, of a stack with autolock; by the managers that are not locked."""
    if not outputs.unlock_keys:
        return []
    seen = [facts[host.name] for host in outputs.managers]
    says = {each.autolock for each in seen if each.autolock}
    digests = {each.unlock_digest for each in seen if each.unlock_digest}
    ours = hashlib.sha256(outputs.unlock_keys[0].encode()).hexdigest()
    found, remedy = "autolock is on, and the state has its key", ""
    if not says:
        found = "no manager says"
    elif says != {"true"}:
        found, remedy = "autolock is off", ON_AGAIN
    elif digests != {ours}:
        found, remedy = "its key is another one" if digests else "no manager tells its key", ROTATED
    what = "managers are locked when their engine starts, by the key in the state"
    return [Check("cluster", what, says == {"true"} and digests == {ours}, found, remedy=remedy)]
