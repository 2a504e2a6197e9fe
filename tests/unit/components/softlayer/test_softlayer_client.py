"""Where credentials come from, and that they go nowhere else."""

from __future__ import annotations

import pickle
import random
import time
from pathlib import Path
from typing import Any

import pytest
import tenacity
from SoftLayer import SoftLayerAPIError

from components.softlayer import client
from components.softlayer.client import (
    Api,
    Backoff,
    Credentials,
    connect,
    find_credentials,
)
from components.softlayer.errors import CredentialsMissing, SettingInvalid
from components.softlayer.progress import EVERY
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from settings.values import PUBLIC_ENDPOINT, is_loopback

KEY = "MARKED-KEY-0123456789"


class Config(dict[str, str]):
    """A stack's settings."""


def write(folder: Path, text: str) -> tuple[Path, ...]:
    file = folder / "softlayer"
    file.write_text(text)
    return (file,)


STACK = Config({"swarm-galera:username": "stack-user", "swarm-galera:apiKey": KEY})
ENVIRONMENT = {"SL_USERNAME": "env-user", "SL_API_KEY": "env-key"}
FILE = "[softlayer]\nusername = file-user\napi_key = file%key\nendpoint_url = https://sl.example.com/xmlrpc/v3.1\n"


def test_the_stack_s_settings_come_before_the_environment(tmp_path: Path) -> None:
    found = find_credentials(STACK, ENVIRONMENT, write(tmp_path, FILE))
    assert (found.username, found.api_key, found.endpoint) == ("stack-user", KEY, PUBLIC_ENDPOINT)


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    assert find_credentials(Config(), ENVIRONMENT, write(tmp_path, FILE)).username == "env-user"


def test_the_file_brings_its_endpoint_and_keys_with_percent_signs(tmp_path: Path) -> None:
    found = find_credentials(None, {}, write(tmp_path, FILE))
    assert found == Credentials("file-user", "file%key", "https://sl.example.com/xmlrpc/v3.1")


def test_the_stack_s_endpoint_comes_before_the_file_s(tmp_path: Path) -> None:
    config = Config({"swarm-galera:endpoint": "http://127.0.0.1:8080/xmlrpc/v3.1/"})
    found = find_credentials(config, {}, write(tmp_path, FILE))
    assert found.endpoint == "http://127.0.0.1:8080/xmlrpc/v3.1"


def test_half_a_pair_is_passed_over_whole(tmp_path: Path) -> None:
    config = Config({"swarm-galera:username": "stack-user"})
    found = find_credentials(config, {"SL_API_KEY": "env-key"}, write(tmp_path, FILE))
    assert (found.username, found.api_key) == ("file-user", "file%key")


def test_no_credentials_anywhere_says_where_they_may_be(tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing, match=r"SL_USERNAME and SL_API_KEY.*pulumi config set --secret"):
        find_credentials(Config(), {}, (tmp_path / "absent",))


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("ftp://example.com", "not an http"),
        ("api.softlayer.com", "not an http"),
        ("http://api.example.com/xmlrpc/v3.1", "in plain text"),
        ("https://me:secret@example.com/", "user or password"),
    ],
)
def test_an_endpoint_that_cannot_be_right_is_refused(endpoint: str, why: str) -> None:
    with pytest.raises(SettingInvalid, match=why) as refused:
        find_credentials(Config({**STACK, "swarm-galera:endpoint": endpoint}), {}, ())
    assert "secret@" not in str(refused.value)


def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid) as refused:
        find_credentials(None, {}, write(tmp_path, f"api_key {KEY}\n"))
    assert KEY not in str(refused.value)


def test_credentials_never_show_their_key() -> None:
    assert KEY not in repr(Credentials("me", KEY))


def test_the_client_has_a_time_limit_and_never_repeats_by_itself() -> None:
    transport = connect(Credentials("me", KEY)).transport
    assert transport.timeout == 60
    for scheme in ("http://", "https://"):
        assert transport.client.get_adapter(scheme).max_retries.total == 0


def test_lists_are_asked_for_by_id_and_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    pages: list[list[dict[str, Any]]] = [[{"id": 1}, {"id": "2"}], [{"id": 2}, {"id": 3}], [{"id": 4}]]

    def call(_api: Api, *words: str, **options: Any) -> list[dict[str, Any]]:
        asked.append(options)
        assert words == ("Account", "getVirtualGuests")
        return pages[len(asked) - 1]

    monkeypatch.setattr(client, "PAGE", 2)
    monkeypatch.setattr(Api, "call", call)
    where = {"hostname": {"operation": "_= a"}}
    rows = Api(Credentials("me", KEY)).list("getVirtualGuests", mask="mask[id]", where=where)
    assert [int(row["id"]) for row in rows] == [1, 2, 3, 4]
    assert [options["offset"] for options in asked] == [0, 2, 4]
    for options in asked:
        tree = options["filter"]["virtualGuests"]
        assert tree["hostname"] == where["hostname"]
        assert tree["id"]["operation"] == "orderBy"


def test_a_proxy_is_passed_by_on_loopback_only() -> None:
    assert not connect(Credentials("me", KEY, "http://127.0.0.1:1/")).transport.client.trust_env
    assert connect(Credentials("me", KEY)).transport.client.trust_env


def test_an_ibm_cloud_key_goes_as_http_basic() -> None:
    assert type(connect(Credentials("apikey", KEY)).auth).__name__ == "BasicHTTPAuthentication"


@pytest.mark.parametrize(
    ("host", "loopback"), [("localhost", True), ("127.3.2.1", True), ("::1", True), ("10.0.0.1", False)]
)
def test_loopback_is_told(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


class Clock:
    """Time that passes only while somebody sleeps, in seconds."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def tried(times: int, since: float) -> tenacity.RetryCallState:
    """The state of a call that was tried so often, and began so many seconds ago."""
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number, state.outcome_timestamp = times, state.start_time + since
    return state


def test_pauses_grow_to_their_limit_and_end() -> None:
    drawn = [Backoff(first=1.0, most=4.0, limit=1000.0).pause(tried(times, 0.0)) for times in range(1, 7)]
    assert 0.5 <= drawn[0] <= 1.5
    assert all(2.0 <= pause <= 6.0 for pause in drawn[2:])
    assert Backoff(first=10.0, limit=12.0).pause(tried(1, 11.0)) == 1.0
    assert Backoff(first=10.0, limit=12.0).pause(tried(1, 13.0)) == 0.0


def test_a_call_is_tried_until_the_limit_and_then_its_own_error_is_raised() -> None:
    api = Api(Credentials("me", KEY), Backoff(first=0.001, most=0.001, limit=0.05))
    asked: list[float] = []

    def refused() -> None:
        asked.append(time.monotonic())
        raise SoftLayerAPIError("RateLimitExceeded", "later")

    with pytest.raises(SoftLayerAPIError, match="later"):
        api.retrying(refused, lambda _: True)
    assert len(asked) > 3
    assert 0.04 < asked[-1] - asked[0] < 1.0
    asked.clear()
    with pytest.raises(SoftLayerAPIError):
        api.retrying(refused, lambda _: False)
    assert len(asked) == 1


def test_what_is_no_fault_of_the_api_is_never_tried_again() -> None:
    asked: list[int] = []

    def bug() -> None:
        asked.append(1)
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        Api(Credentials("me", KEY)).retrying(bug, lambda _: True)
    assert asked == [1]


def test_that_the_api_takes_no_request_yet_is_said_after_ten_seconds_and_then_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(tenacity, "time", clock)
    monkeypatch.setattr(tenacity.nap, "time", clock)
    # Without jitter tries are made at 0, 0.5, 1.5, 3.5, 7.5, 15.5, 25.5, ... s: told at 15.5 and 45.5.
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)

    def refused() -> None:
        raise SoftLayerAPIError("RateLimitExceeded", "later")

    with pytest.raises(SoftLayerAPIError):
        Api(Credentials("me", KEY), Backoff(limit=EVERY + 30.0)).retrying(refused, lambda _: True)
    assert capsys.readouterr().out.count("trying on") == 2


def test_a_provider_is_pickled_without_credentials() -> None:
    assert len(pickle.dumps(VirtualGuestProvider())) < 200
