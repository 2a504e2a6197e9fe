"""Counts the changes of a service, also those that the program did not ask for, so that each is waited for.

Owns: noticing that a run changes a service, and remembering how often that was.
Leaves to others: the services (components/services.py) and the wait (components/host_scripts/convergence.py).

What the program says of a service is in the wait's triggers. But a service is also changed when that stays
the same: when a refresh has found that somebody changed it by hand, or when a docker plugin of another
version writes something else into the state. The provider then updates it, the engine replaces its tasks, and
nothing that the program knows has changed. Pulumi tells of it by calling a hook.
"""

from __future__ import annotations

import uuid
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult


class RolloutProvider(ResourceProvider):
    """Counts; touches nothing outside the state."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """The service was made, not changed."""
        return CreateResult("rollout", {**props, "changes": 0})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Changed in this run or not; what an earlier run said, which a refresh repeats, does not count."""
        return DiffResult(changes=news["seen"] not in ("", olds.get("seen")))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """One more."""
        return UpdateResult({**news, "changes": int(olds["changes"]) + 1})


class Rollout(Resource, module="swarm-galera", name="Rollout"):
    """How often a service was changed in place.

    Attributes:
        changes: the number; the first state counts 0.
    """

    changes: pulumi.Output[int]

    def __init__(self, name: str, seen: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        """Counts one more for each `seen` that is new.

        Args:
            seen: a text of its own for each change, empty if this run changes nothing.
        """
        super().__init__(RolloutProvider(), name, {"seen": seen, "changes": None}, opts)


class Watch:
    """Notices whether this run changes a resource.

    Use: give `hooks` to the resource, and `seen` of it to a `Rollout`.
    """

    def __init__(self, name: str, before: pulumi.ResourceHook | None = None) -> None:
        """`name`: unique in the program. `before`: a further hook, called before a change."""
        self._seen = ""

        def note(_args: pulumi.ResourceHookArgs) -> None:
            self._seen = str(uuid.uuid4())

        # In previews, too: they show that the wait will run again.
        options = pulumi.ResourceHookOptions(on_dry_run=True)
        self.hooks = pulumi.ResourceHookBinding(
            before_update=None if before is None else [before],
            after_update=[pulumi.ResourceHook(f"{name}-changed", note, options)],
        )

    def seen(self, resource: pulumi.CustomResource) -> pulumi.Output[str]:
        """What to tell a `Rollout`, known once the resource has been dealt with."""
        return resource.urn.apply(lambda _: self._seen)
