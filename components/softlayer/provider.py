"""What all SoftLayer dynamic providers share: credentials at run time and an exact diff.

Owns: `configure`, the API connection of a call, the diff over declared tables.
Leaves to others: every resource's own behaviour.

A provider is pickled by reference into the state, so it keeps nothing of its own before `configure`:
no credentials, no settings. Keep these classes in their modules: the state names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pulumi.dynamic import ConfigureRequest, DiffResult, ResourceProvider

from components.dynamic import is_unknown
from components.softlayer.client import Api, Backoff, ConfigReader, find_credentials

PROVIDER_KEY = "__provider"


class SoftLayerProvider(ResourceProvider):
    """Base of the dynamic providers over the SDK.

    Subclasses declare what a changed property means:
        REPLACE: the thing must be made anew.
        UPDATE: changed in place.
        IGNORE: of no consequence (identity, things that matter only at creation).
    A property in none of them is an error of the program, found by a unit test.
    """

    serialize_as_secret_always = False  # nothing secret is ever in a provider; see the module's docstring

    REPLACE: frozenset[str] = frozenset()
    UPDATE: frozenset[str] = frozenset()
    IGNORE: frozenset[str] = frozenset()
    DELETE_BEFORE_REPLACE = False

    def configure(self, req: ConfigureRequest) -> None:
        """Keep the stack's settings at hand; they are read only when a call needs them."""
        self._config: ConfigReader = req.config

    def api(self, backoff: Backoff | None = None) -> Api:
        """A connection for one provider call."""
        return Api(find_credentials(getattr(self, "_config", None)), backoff)

    def same(self, key: str, old: Any, new: Any) -> bool:
        """Whether two values of a property mean the same; None, "" and [] all mean "not given"."""
        absent: tuple[Any, ...] = (None, "", [], {})
        return bool(old == new) or (old in absent and new in absent)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Exactly the declared properties that differ; an unknown counts as different."""
        changed = [
            key
            for key in sorted(self.REPLACE | self.UPDATE)
            if is_unknown(news.get(key)) or not self.same(key, olds.get(key), news.get(key))
        ]
        return DiffResult(
            changes=bool(changed),
            replaces=[key for key in changed if key in self.REPLACE],
            delete_before_replace=self.DELETE_BEFORE_REPLACE,
        )


def known(news: Mapping[str, Any], keys: Iterable[str], valid: Callable[[Any], bool]) -> list[str]:
    """Those of `keys` whose value is known, given, and not `valid`."""
    return [
        key
        for key in keys
        if news.get(key) is not None and not is_unknown(news[key]) and not valid(news[key])
    ]
