"""What all SoftLayer dynamic providers share: credentials at run time.

Owns: `configure`, the API connection of a call.
Leaves to others: every resource's own behaviour.

A provider is pickled by reference into the state, so it keeps nothing of its own before `configure`:
no credentials, no settings. Keep these classes in their modules: the state names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pulumi.dynamic import ConfigureRequest

from components.dynamic import ExactDiff, is_unknown
from components.softlayer.client import Api, Backoff, ConfigReader, find_credentials

PROVIDER_KEY = "__provider"


class SoftLayerProvider(ExactDiff):
    """Base of the dynamic providers over the SDK.

    A property in none of a subclass's tables is an error of the program, found by a unit test.
    """

    serialize_as_secret_always = False  # nothing secret is ever in a provider; see the module's docstring

    def configure(self, req: ConfigureRequest) -> None:
        """Keep the stack's settings at hand; they are read only when a call needs them."""
        self._config: ConfigReader = req.config

    def api(self, backoff: Backoff | None = None) -> Api:
        """A connection for one provider call."""
        return Api(find_credentials(getattr(self, "_config", None)), backoff)


def known(news: Mapping[str, Any], keys: Iterable[str], valid: Callable[[Any], bool]) -> list[str]:
    """Those of `keys` whose value is known, given, and not `valid`."""
    return [
        key
        for key in keys
        if news.get(key) is not None and not is_unknown(news[key]) and not valid(news[key])
    ]
