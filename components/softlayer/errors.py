"""What a fault means to the program (may it pass by itself?), and the exceptions that reach the user.

Owns: telling faults apart, and putting them into one sentence. Leaves to others: the words for each fault
(faults/), calling the API, deciding what is done next.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import NoReturn

from SoftLayer import exceptions as sl

from components.softlayer.faults import FAULTS, UNKNOWN_FAULT
from settings.errors import UserError


class SoftLayerFailed(UserError):
    """A failure in words for people: what happened, why, and what to do. Carries no secret."""


class SettingInvalid(SoftLayerFailed):
    """A setting that cannot work; nothing has been asked of the API."""

    def __init__(self, setting: str, why: str, remedy: str) -> None:
        super().__init__(f"{setting}: {why}; {remedy}")


class CredentialsMissing(SoftLayerFailed):
    """No place holds both a user and a key."""

    def __init__(self) -> None:
        super().__init__(
            "no SoftLayer credentials: neither the stack's settings nor SL_USERNAME and SL_API_KEY nor "
            "~/.softlayer hold both a user and a key; set both variables, or run "
            "`pulumi config set --secret swarm-galera:username USER` and the same for apiKey"
        )


class OrderUnknown(SoftLayerFailed):
    """An order was sent and its answer lost, and the guest has not shown up yet."""


class NotOurs(SoftLayerFailed):
    """The thing behind an id is not the one that this stack ordered."""


class WaitedTooLong(SoftLayerFailed):
    """Something did not get ready in the time allowed."""


class CostTooHigh(SoftLayerFailed):
    """A plan above the limit; nothing has been ordered."""


_REFUSED_TEXT = re.compile(r"Rate limit of \d+ requests", re.IGNORECASE)
_NEVER_SENT = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|Failed to establish a new connection"
    r"|Connection refused|CERTIFICATE_VERIFY_FAILED",
    re.IGNORECASE,
)
_BROKE_OFF = re.compile(
    r"internal (server |system |application )?error|unexpected (error|exception|failure)"
    r"|unknown (error|exception)|an error (has )?occurred|timed? ?out",
    re.IGNORECASE,
)
"""Faults that say that the API failed, rather than that it refused."""
_LONGEST = 300
"""Characters of the API's own text that are shown."""


def explained(error: sl.SoftLayerError, what: str, *, left: str = "") -> SoftLayerFailed:
    """The fault in words for people.

    Args:
        error: what the SDK raised.
        what: what was tried, e.g. `ordering galera-1.example.com`.
        left: what is left behind; nothing said when empty.
    """
    code, text = code_of(error), text_of(error)
    fault = next((fault for fault in FAULTS if fault.matches(code, text)), UNKNOWN_FAULT)
    # What the HTTP library says of lost connections is mostly its own inside; the cause is at its end.
    text = re.sub(r".*\(Caused by (.*)\)", r"\1", " ".join(text.split()))
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "…"
    rest = f" {left}" if left else ""
    return SoftLayerFailed(f"{what} failed: {fault.why}; {fault.remedy}.{rest} (SoftLayer: {code}: {text})")


@contextlib.contextmanager
def explaining(what: str, *, left: str = "") -> Iterator[None]:
    """Turn what the SDK raises within into `SoftLayerFailed`."""
    try:
        yield
    except sl.SoftLayerError as error:
        reraise(error, what, left=left)


def reraise(error: sl.SoftLayerError, what: str, *, left: str = "") -> NoReturn:
    """Raise the explained fault, without the SDK's own chain of exceptions, which may hold the request."""
    raise explained(error, what, left=left) from None


def code_of(error: BaseException) -> str:
    """The fault's code as text; HTTP statuses as their number, lost connections as `0`."""
    return str(getattr(error, "faultCode", type(error).__name__))


def text_of(error: BaseException) -> str:
    """The fault's own text."""
    return str(getattr(error, "faultString", error))


def is_gone(error: BaseException) -> bool:
    """Whether the object does not exist."""
    return code_of(error) == "SoftLayer_Exception_ObjectNotFound"


def is_busy(error: BaseException) -> bool:
    """Whether an outstanding transaction is in the way."""
    return "ActiveTransactionExists" in code_of(error) or bool(
        re.search(r"(active|outstanding) transaction", text_of(error), re.IGNORECASE)
    )


def was_refused(error: BaseException) -> bool:
    """Whether the request was certainly not carried out and may be sent again a little later."""
    if (
        "RateLimitExceeded" in code_of(error)
        or code_of(error) == "429"
        or _REFUSED_TEXT.search(text_of(error))
    ):
        return True
    return never_sent(error) and "CERTIFICATE" not in text_of(error)


def never_sent(error: BaseException) -> bool:
    """Whether the request did not even reach the API."""
    return code_of(error) == "0" and bool(_NEVER_SENT.search(text_of(error)))


def outcome_unknown(error: BaseException) -> bool:
    """Whether the request may have been carried out although it failed: its answer was lost or garbled, or
    the API broke off while it worked on it.
    """
    if was_refused(error) or never_sent(error):
        return False
    code = code_of(error)
    if isinstance(error, sl.TransportError):
        # HTTP 4xx is a refusal (by the API or something before it), but for a request that timed out.
        return code == "408" or not re.fullmatch(r"4\d\d", code)
    return (
        isinstance(error, sl.ParseError)
        or code.startswith("-327")
        or code in {"-32500", "-32400", "-32603"}
        or (code.startswith("SoftLayer_Exception") and bool(_BROKE_OFF.search(text_of(error))))
    )


def is_transient(error: BaseException) -> bool:
    """Whether a repeatable request may succeed a little later: refusals, HTTP 5xx, lost answers."""
    if was_refused(error):
        return True
    if isinstance(error, sl.TransportError):
        code = code_of(error)
        return (code == "0" and not never_sent(error)) or code == "408" or bool(re.fullmatch(r"5\d\d", code))
    return outcome_unknown(error)
