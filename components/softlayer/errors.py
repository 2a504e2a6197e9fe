"""What a fault means to the person who reads it.

Owns: the words, and which faults may pass by themselves. Leaves to others: calling the API.
"""

from __future__ import annotations

import re

from SoftLayer import exceptions as sl


class SoftLayerFailed(Exception):
    """A failure in words for people: what happened, why, and what to do. Carries no secret."""


class SettingInvalid(SoftLayerFailed):
    """A setting that cannot work."""

    def __init__(self, setting: str, why: str, remedy: str) -> None:
        super().__init__(f"{setting}: {why}; {remedy}")


class CredentialsMissing(SoftLayerFailed):
    """No place holds both a user and a key."""

    def __init__(self) -> None:
        super().__init__(
            "no SoftLayer credentials: neither the stack's settings nor SL_USERNAME and SL_API_KEY nor "
            "~/.softlayer hold a user and a key; set both variables, or run "
            "`pulumi config set --secret swarm-galera:username …` and the same for `apiKey`"
        )


_RATE = re.compile(r"RateLimit", re.IGNORECASE)


def was_refused(error: BaseException) -> bool:
    """Whether the API certainly did not carry the request out, and will take it later."""
    if not isinstance(error, sl.SoftLayerAPIError):
        return False
    return bool(_RATE.search(str(error.faultCode))) or error.faultCode == 429


def is_transient(error: BaseException) -> bool:
    """Whether a repeatable request may succeed a little later: refusals, HTTP 5xx, lost connections."""
    if was_refused(error):
        return True
    if isinstance(error, sl.TransportError):
        return error.faultCode == 0 or 500 <= int(error.faultCode) < 600
    return False
