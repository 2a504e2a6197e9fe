"""The store's record of a restore: what every node goes by while it is under way, and a fact afterwards.

Owns its shape and how it is read. Leaves to others: its phases (`record`), the rules (`decision.restoring`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass(frozen=True)
class Restore:
    """A restore of the whole cluster.

    `phase`: see `record`. `node`: into whose directory the archive is loaded. `uuid`, `epoch`: of the new
    cluster. `target`: as a person said it; `position`: the GTID that it comes to, on `timeline`, from `base`.
    `began`, `changed` (UTC): when it began, and when the phase did. `by`: who said so. `former`: keys of the
    store with their values before, for the way back.
    """

    id: str
    phase: str
    node: str
    uuid: str
    epoch: str
    target: str
    position: str
    timeline: str
    base: str
    began: str
    changed: str
    by: str = ""
    former: Mapping[str, str] = field(default_factory=dict)

    @property
    def former_uuid(self) -> str:
        """The UUID of the cluster before; empty where there was none."""
        text = self.former.get("cluster")
        return str(json.loads(text)["uuid"]) if text else ""


def read(text: str) -> Restore:
    """A record as it was stored; fields of a later version are passed over. Raises ValueError, TypeError."""
    values = json.loads(text)
    known = {each.name for each in fields(Restore)}
    taken = {name: value for name, value in values.items() if name in known}
    former = taken.pop("former", {})
    if not all(isinstance(value, str) for value in (*taken.values(), *dict(former).values())):
        raise ValueError("its values must be texts")
    return Restore(**taken, former=dict(former))
