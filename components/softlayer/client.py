"""The one way to the SoftLayer API: credentials, endpoint, time limits and retries.

Owns: where credentials come from, how the SDK's client is built, and which calls may be sent again.
Leaves to others: what is called and why (the providers), and the words of errors (errors.py).

Retries: reads and calls that may be repeated without harm are sent again on rate limits, HTTP 429 and 5xx
and lost connections, with growing, jittered pauses and within a bound. Orders are not: `Api.once` sends
exactly one request, and what it raises says whether the request may have been carried out.
"""

from __future__ import annotations

import configparser
import copy
import dataclasses
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import SoftLayer
import tenacity
from requests.adapters import HTTPAdapter
from SoftLayer import exceptions as sl
from SoftLayer.auth import BasicAuthentication, BasicHTTPAuthentication
from SoftLayer.transports import XmlRpcTransport

from components.softlayer.errors import (
    CredentialsMissing,
    SettingInvalid,
    code_of,
    is_gone,
    is_transient,
    was_refused,
)
from components.softlayer.progress import EVERY, say
from settings.values import PUBLIC_ENDPOINT, Refused, is_loopback
from settings.values import endpoint as endpoint_rule

TIMEOUT = 60.0
"""Seconds until an unanswered request counts as lost; the SDK's own default is for ever."""
PAGE = 100
"""Rows a list call asks for at a time."""
_BY_ID = {"operation": "orderBy", "options": [{"name": "sort", "value": ["ASC"]}]}


@dataclass(frozen=True)
class Credentials:
    """Who asks, and whom. The key shows in no representation.

    Attributes:
        username: the account's user, or `apikey` for an IBM Cloud key (then sent as HTTP Basic).
        api_key: the key; kept out of `repr`.
        endpoint: base address of the XML-RPC API.
    """

    username: str
    api_key: str = field(repr=False)
    endpoint: str = PUBLIC_ENDPOINT


class ConfigReader(Protocol):
    """What Pulumi hands a provider's `configure`, and what `pulumi.Config` offers as well."""

    def get(self, key: str) -> Any: ...


def find_credentials(
    config: ConfigReader | None = None,
    environment: dict[str, str] | None = None,
    files: tuple[Path, ...] | None = None,
) -> Credentials:
    """Credentials from the stack's settings, else `SL_USERNAME`/`SL_API_KEY`, else `~/.softlayer`.

    User and key are taken from one place, never half from one and half from another.
    The endpoint comes from the stack's settings, else from the same file, else it is SoftLayer's public one.

    Raises:
        CredentialsMissing: no place has both; says which places were tried.
        SettingInvalid: the endpoint is not an http(s) address.
    """
    env = dict(os.environ) if environment is None else environment
    places = (Path.home() / ".softlayer", Path("/etc/softlayer.conf")) if files is None else files

    def setting(key: str) -> str:
        value = config.get(key) if config is not None else None
        return str(value).strip() if value is not None else ""

    endpoint = setting("swarm-galera:endpoint")
    pairs: list[tuple[str, str, str]] = [
        (setting("swarm-galera:username"), setting("swarm-galera:apiKey"), ""),
        (env.get("SL_USERNAME", ""), env.get("SL_API_KEY", ""), ""),
        *(_from_file(path) for path in places),
    ]
    for username, api_key, file_endpoint in pairs:
        if username and api_key:
            url = (endpoint or file_endpoint or PUBLIC_ENDPOINT).rstrip("/")
            _check_endpoint(url)
            return Credentials(username, api_key, url)
    raise CredentialsMissing()


def _from_file(path: Path) -> tuple[str, str, str]:
    # No interpolation: a key may hold a percent sign.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if not path.is_file():
            return "", "", ""
        parser.read(path)
    except (OSError, configparser.Error):
        # The parser's own message quotes the line it stumbled over, which may be the key.
        raise SettingInvalid(str(path), "cannot be read as an INI file", "run `slcli setup` again") from None
    if not parser.has_section("softlayer"):
        return "", "", ""
    section = parser["softlayer"]
    return section.get("username", ""), section.get("api_key", ""), section.get("endpoint_url", "")


def _check_endpoint(url: str) -> None:
    try:
        endpoint_rule(url)
    except Refused as refused:
        raise SettingInvalid("swarm-galera:endpoint", refused.what, refused.remedy) from None


def connect(credentials: Credentials, timeout: float = TIMEOUT) -> SoftLayer.BaseClient:
    """The SDK's own client, with a finite time limit, and past any proxy when the API is on loopback."""
    auth = (
        BasicHTTPAuthentication("apikey", credentials.api_key)
        if credentials.username == "apikey"
        else BasicAuthentication(credentials.username, credentials.api_key)
    )
    transport = XmlRpcTransport(endpoint_url=credentials.endpoint, timeout=timeout)
    # No second attempts below this module: it alone knows what may be sent twice.
    for scheme in ("http://", "https://"):
        transport.client.mount(scheme, HTTPAdapter(max_retries=0))
    if is_loopback(urlsplit(credentials.endpoint).hostname or ""):
        # `requests` applies https_proxy and friends even to loopback, where no proxy can answer.
        transport.client.trust_env = False
    return SoftLayer.BaseClient(auth=auth, transport=transport, config_file=os.devnull)


@dataclass(frozen=True)
class Backoff:
    """Bounded, growing, jittered pauses.

    Attributes:
        first: seconds before the second try; each further pause doubles.
        most: the longest pause in seconds.
        limit: seconds after which the last error is raised.
    """

    first: float = 0.5
    most: float = 10.0
    limit: float = 120.0

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Seconds to pause before the next try, the last of which comes when the limit is used up."""
        # Four workers that were refused together must not come back together.
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - nobody gains by guessing it
        pause = tenacity.wait_exponential(self.first, self.most)(state) * jitter
        return max(0.0, min(pause, self.limit - (state.seconds_since_start or 0.0)))


class Api:
    """Calls on SoftLayer services, as the providers make them.

    A thin layer over the SDK's client: `call` for what may be repeated, `once` for what may not.
    Not shared between threads: each provider method builds its own.

    Attributes:
        timeout: seconds until an unanswered request counts as lost.
    """

    def __init__(
        self, credentials: Credentials, backoff: Backoff | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._client = connect(credentials, timeout)
        self.timeout = timeout
        self._key = credentials.api_key
        self._backoff = backoff or Backoff()

    @property
    def client(self) -> SoftLayer.BaseClient:
        """The SDK's client, for the SDK's managers."""
        return self._client

    def once(self, service: str, method: str, *args: Any, **options: Any) -> Any:
        """One request, never repeated by this program nor by the SDK. For orders."""
        return self._send(service, method, *args, **options)

    def call(self, service: str, method: str, *args: Any, **options: Any) -> Any:
        """A request that may be repeated: reads, and writes that set a state rather than add to it."""
        return self.retrying(lambda: self._send(service, method, *args, **options), is_transient)

    def insist(self, service: str, method: str, *args: Any, **options: Any) -> Any:
        """A request repeated only where the API says that it refused to carry it out (rate limits)."""
        return self.retrying(lambda: self._send(service, method, *args, **options), was_refused)

    def list(self, method: str, *, mask: str, where: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """All rows of one of the account's lists, page by page and by id.

        Args:
            method: e.g. `getVirtualGuests`.
            mask: what is asked of each row; must have the id.
            where: object filter of a row, e.g. `{"hostname": {"operation": "_= a"}}`.
        """
        # Without an order of its own the API may show a row on two pages, and another one on none.
        tree = {method[3].lower() + method[4:]: {**(where or {}), "id": _BY_ID}}
        rows: dict[int, dict[str, Any]] = {}
        offset = 0
        while True:
            page = self.call("Account", method, mask=mask, filter=tree, limit=PAGE, offset=offset)
            rows |= {int(row["id"]): row for row in page}
            offset += len(page)
            if len(page) < PAGE:
                return list(rows.values())

    def get(self, service: str, id_: int | str, *, mask: str) -> dict[str, Any] | None:
        """An object; None if there is none of that id, or no more."""
        try:
            row: dict[str, Any] | None = self.call(service, "getObject", id=int(id_), mask=mask)
        except sl.SoftLayerAPIError as error:
            if is_gone(error):
                return None
            raise
        return row or None

    def delete(self, service: str, id_: int | str) -> None:
        """Delete an object; one that is gone already is done."""
        try:
            self.call(service, "deleteObject", id=int(id_))
        except sl.SoftLayerAPIError as error:
            if not is_gone(error):
                raise

    def _send(self, service: str, method: str, *args: Any, **options: Any) -> Any:
        try:
            return self._client.call(service, method, *args, **options)
        except sl.SoftLayerAPIError as error:
            # Should a server or a library ever repeat the request in its error: the key does not get further.
            # A new exception, not chained, because the old one's arguments hold the text.
            hidden = str(error.faultString).replace(self._key, "[hidden]")
            scrubbed = type(error)(error.faultCode, hidden)
        raise scrubbed

    def patient_for(self, seconds: float) -> Api:
        """The same connection, whose repeated calls give up after so many seconds."""
        other = copy.copy(self)
        other._backoff = dataclasses.replace(self._backoff, limit=seconds)
        return other

    def retrying(self, action: Callable[[], Any], again: Callable[[BaseException], bool]) -> Any:
        """`action`'s result; repeated while `again(error)` holds and the time limit allows."""
        told = 10.0 - EVERY  # seconds since the start: the first line after ten of them

        def tell(state: tenacity.RetryCallState) -> None:
            nonlocal told
            now = state.seconds_since_start or 0.0
            error = state.outcome.exception() if state.outcome else None
            if error is not None and now - told >= EVERY:
                told = now
                say(f"the SoftLayer API does not take a request yet ({code_of(error)}); trying on")

        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, sl.SoftLayerError) and again(e)),
            wait=self._backoff.pause,
            stop=tenacity.stop_after_delay(self._backoff.limit),
            before_sleep=tell,
            reraise=True,
        )
        return tries(action)
