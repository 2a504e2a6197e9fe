"""What the providers of databases, users and rights share.

Owns: the way to the database of a call, names that belong to the cluster's own stack.
Leaves to others: each resource's own behaviour.

A provider is pickled by reference into the state, so it keeps nothing before its first call. Keep these
classes in their modules: the state names them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pulumi.dynamic import CheckFailure

from components.accounts import names
from components.accounts.reach import Root
from components.dynamic import ExactDiff, is_unknown

SECRET = ["reach", "hashes"]
"""Properties that are encrypted in the state."""


class AccountsProvider(ExactDiff):
    """Base of the providers."""

    serialize_as_secret_always = False  # nothing secret is ever in a provider

    def root(self, props: Mapping[str, Any]) -> Root:
        """The database's root; the same for all calls about one cluster."""
        known: tuple[Any, Root] | None = getattr(self, "_root", None)
        if known is None or known[0] != props["reach"]:
            known = self._root = (props["reach"], Root(props["reach"]))
        return known[1]


def wrong(news: Mapping[str, Any], checks: Mapping[str, Callable[[str], Any]]) -> list[CheckFailure]:
    """What can't be, by property; unknown and absent values pass."""
    return [
        CheckFailure(key, reason)
        for key, check in checks.items()
        if news.get(key) is not None and not is_unknown(news[key])
        if (reason := names.reason(check, news[key])) is not None
    ]


def taken(news: Mapping[str, Any], key: str) -> list[CheckFailure]:
    """Whether a name is the cluster's own, which its stack or its nodes see to."""
    if is_unknown(news.get("reach")) or is_unknown(news.get(key)) or news[key] not in news["reach"]["taken"]:
        return []
    reason = (
        f"{news[key]} belongs to the cluster's own stack, which sets it back. Remedy: choose another name; "
        "an account of another name may have rights on that database"
    )
    return [CheckFailure(key, reason)]
