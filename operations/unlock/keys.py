"""The unlock keys of a stack's swarm, as its state has them.

Owned here: finding them. Left to others: how they get there (components/autolock.py), what is done with them
(locked.py).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

STEP = "swarm-autolock-key"
"""The step that asks the swarm for its key: it has one that came to no further resource in a killed run."""


def of_state(exported: Mapping[str, Any]) -> list[str]:
    """All of them, without repetition, the one in use first. None of a swarm that has no autolock.

    Args:
        exported: the state, with its secrets in plain.
    """
    return list(dict.fromkeys(key for key in _found(exported) if key))


def _found(exported: Mapping[str, Any]) -> Iterator[str]:
    resources = (exported.get("deployment") or {}).get("resources") or ()
    former = list[str]()
    for each in resources:
        outputs = plain(each.get("outputs") or {})
        if str(each.get("urn")).endswith(f"::{STEP}"):
            with contextlib.suppress(ValueError):  # what a run that was killed has left there
                said = json.loads(outputs.get("stdout") or "{}")
                yield str(said.get("key", ""))
                former.append(str(said.get("replaced", "")))
        elif str(each.get("type")).endswith(":UnlockKeys"):
            yield str(outputs.get("key", ""))
            former += [str(known["key"]) for known in outputs.get("former") or ()]
    yield from former


def plain(told: Any) -> Any:
    """A value of a state that was exported with its secrets in plain."""
    if isinstance(told, Mapping):
        if "plaintext" in told:
            return plain(json.loads(told["plaintext"]))
        return {key: plain(value) for key, value in told.items()}
    return [plain(value) for value in told] if isinstance(told, list) else told
