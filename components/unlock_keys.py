"""The unlock keys of a swarm with autolock: the one in use, and those that a manager may still need.

Owns: keeping them as secrets of the state, and for how long. Leaves to others: asking the swarm for its key
and rotating it (autolock.py).

A manager that is down while the key is rotated hears nothing of it. When it is back, the key of before
unlocks it; then it hears of the new one. So a key stays until it is told that nobody needs it any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.dynamic import is_unknown


class UnlockKeysProvider(ResourceProvider):
    """Remembers; touches nothing outside the state."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """The key in use, and one that it has replaced at once."""
        return CreateResult("unlock-keys", {**props, "former": former({}, props)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another key, or others to be kept."""
        asked = ("key", "generation", "oldest")
        changed = any(is_unknown(news.get(each)) or olds.get(each) != news.get(each) for each in asked)
        return DiffResult(changes=changed)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """What was in use is a former one now."""
        return UpdateResult({**news, "former": former(olds, news)})


def former(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys that are kept beside the one in use, the newest first: each with its `generation` and `key`.

    What the key in use has replaced is mostly what was in use before. It is another one where a run was
    killed after it had rotated, or somebody has rotated by hand: then a manager may need either.
    """
    known = [*(olds.get("former") or ())]
    if replaced := news.get("replaced"):
        known.insert(0, {"generation": max(int(news["generation"]) - 1, 1), "key": replaced})
    if olds.get("key"):
        known.insert(0, {"generation": olds["generation"], "key": olds["key"]})
    kept: dict[str, dict[str, Any]] = {}
    for each in known:
        generation, key = int(each["generation"]), str(each["key"])
        if generation >= int(news["oldest"]) and key != news["key"]:
            kept.setdefault(key, {"generation": generation, "key": key})
    return list(kept.values())


class UnlockKeys(Resource, module="swarm-galera", name="UnlockKeys"):
    """The keys.

    Attributes:
        key: in use; secret.
        former: those before it, the newest first, each with its `generation` and `key`; secret.
    """

    key: pulumi.Output[str]
    former: pulumi.Output[list[dict[str, Any]]]

    def __init__(
        self,
        name: str,
        key: pulumi.Input[str],
        replaced: pulumi.Input[str],
        generation: int,
        oldest: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`replaced`: by `key`, in this run; empty for none. `oldest`: the first generation that is kept."""
        secret = pulumi.ResourceOptions(additional_secret_outputs=["key", "replaced", "former"])
        asked = {"key": key, "replaced": replaced, "generation": generation, "oldest": oldest}
        super().__init__(
            UnlockKeysProvider(),
            name,
            {**asked, "former": None},
            pulumi.ResourceOptions.merge(secret, opts),
        )
