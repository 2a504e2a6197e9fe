"""XML-RPC as SoftLayer speaks it: headers in the first parameter, string fault codes, `<nil/>` allowed."""

from __future__ import annotations

import base64
import binascii
import xmlrpc.client
from typing import Any

from lab.api import errors, masks
from lab.api.context import Call
from lab.api.credentials import Credentials

PREFIX = "SoftLayer_"


class Unreadable(Exception):
    """The body is not an XML-RPC call."""


def decode(path_service: str, body: bytes) -> tuple[str, str, dict[str, Any], tuple[Any, ...]]:
    """Service, method, headers and the real parameters of a request. Raises Unreadable."""
    try:
        parameters, method = xmlrpc.client.loads(body, use_builtin_types=True)
    except Exception as error:  # expat, xmlrpc and codecs raise all kinds of errors on bad input
        raise Unreadable(f"{type(error).__name__}: {error}") from None
    if method is None:
        raise Unreadable("no method name")
    headers: dict[str, Any] = {}
    arguments = tuple(parameters)
    if arguments and isinstance(arguments[0], dict) and isinstance(arguments[0].get("headers"), dict):
        headers = arguments[0]["headers"]
        arguments = arguments[1:]
    return path_service.removeprefix(PREFIX), method, headers, arguments


def to_call(service: str, method: str, headers: dict[str, Any], arguments: tuple[Any, ...]) -> Call:
    """A call with its mask parsed. Raises Fault when mask or paging make no sense."""
    init = headers.get(f"{PREFIX}{service}InitParameters") or {}
    mask = None
    new_mask = headers.get(f"{PREFIX}ObjectMask") or {}
    legacy = headers.get(f"{PREFIX}{service}ObjectMask") or {}
    if new_mask.get("mask"):
        mask = masks.parse(str(new_mask["mask"]))
    elif legacy.get("mask"):
        text = legacy["mask"]
        mask = masks.parse(text) if isinstance(text, str) else masks.from_legacy(text)
    page = headers.get("resultLimit") or {}
    try:
        limit = int(page["limit"]) if page.get("limit") is not None else None
        offset = int(page.get("offset") or 0)
    except (TypeError, ValueError):
        raise errors.invalid_value("resultLimit", "Limit and offset must be numbers.") from None
    return Call(
        service=service,
        method=method,
        args=arguments,
        identifier=init.get("id"),
        mask=mask,
        filter=headers.get(f"{PREFIX}{service}ObjectFilter"),
        limit=limit,
        offset=max(0, offset),
    )


def authenticate(credentials: Credentials, headers: dict[str, Any], authorization: str | None) -> None:
    """Check who calls, in either style. Raises Fault.

    The user name `apikey` (any account's owner) comes with HTTP Basic and the key alone, as with IAM keys.
    """
    struct = headers.get("authenticate")
    if isinstance(struct, dict) and struct.get("apiKey") is not None:
        if not credentials.match(str(struct.get("username")), str(struct["apiKey"])):
            raise errors.invalid_token()
        return
    if isinstance(struct, dict) and struct.get("authToken") is not None:
        raise errors.invalid_token()
    username, password = _basic(authorization)
    name = credentials.username if username == "apikey" else username
    if not credentials.match(name, password):
        raise errors.access_denied()


def _basic(authorization: str | None) -> tuple[str, str]:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        username, _, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, password


def encode_value(value: Any) -> bytes:
    """An answer. Raises OverflowError for an integer beyond int32, which no client could read."""
    text = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True, encoding="iso-8859-1")
    return text.encode("iso-8859-1", "xmlcharrefreplace")


def encode_fault(fault: errors.Fault) -> bytes:
    """A fault with a string code, which the standard marshaller would not let through its own Fault."""
    body = xmlrpc.client.dumps(
        ({"faultCode": fault.code, "faultString": fault.message},), allow_none=True, encoding="iso-8859-1"
    )
    start, end = body.index("<value>"), body.rindex("</value>") + len("</value>")
    text = (
        "<?xml version='1.0' encoding='iso-8859-1'?>\n<methodResponse>\n<fault>\n"
        f"{body[start:end]}\n</fault>\n</methodResponse>\n"
    )
    return text.encode("iso-8859-1", "xmlcharrefreplace")
