"""What `verify` says of the database's TLS."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from operations.checks import tls as tls_checks
from operations.facts.cluster import HostFacts, write_row
from operations.outputs import parse
from tests.unit.operations.test_verify import VALUES

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)
CA = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


def checks(own: dict[str, Any] | None, trusts: int = 1, authority: str = CA) -> list[Any]:
    galera = {
        **VALUES["galera"],
        "members": ["galera-1"],
        **({"tls": {"caCertificate": authority}} if authority else {}),
    }
    outputs = parse("dev", {**VALUES, "galera": galera})
    status = (
        {} if own is None else {"self": {"tls": own or None}, "members": {"galera-1": {"trusts": trusts}}}
    )
    return tls_checks.of_tls(outputs, {"galera-1": HostFacts(node_status=status)}, NOW)


def good(days: int = 3000, mode: str = "only") -> dict[str, Any]:
    ends = (NOW + dt.timedelta(days=days)).isoformat()
    return {"mode": mode, "certificate": ends, "authority": (NOW + dt.timedelta(days=3600)).isoformat()}


def test_all_is_well_where_nobody_else_is_let_in_for_years() -> None:
    alone, lasts = checks(good())
    assert (alone.ok, alone.found) == (True, "nobody else is let in")
    assert (lasts.ok, lasts.warns, lasts.found) == (True, False, "3000 days, until 2035-02-15")


@pytest.mark.parametrize(
    ("own", "trusts", "found"),
    [
        (good(mode="both"), 1, "nodes without TLS are let in"),
        (good(), 2, "nobody else is let in, and a former authority is trusted"),
        ({}, 0, "no TLS"),
        (None, 0, "no answer"),
    ],
)
def test_an_unfinished_change_is_red(own: dict[str, Any] | None, trusts: int, found: str) -> None:
    alone, _ = checks(own, trusts)
    assert not alone.ok
    assert found in alone.found
    assert "`up` ends a change" in alone.remedy


@pytest.mark.parametrize(
    ("days", "ok", "warns"),
    [(366, True, False), (200, True, True), (30, True, True), (29, False, True), (-3, False, True)],
)
def test_the_days_left_are_told_and_few_are_red(days: int, ok: bool, warns: bool) -> None:
    _, lasts = checks(good(days))
    assert (lasts.ok, lasts.warns) == (ok, warns)
    assert lasts.found.startswith(f"{days} days")
    _, unknown = checks({"mode": "only", "certificate": None, "authority": None})
    assert (unknown.ok, unknown.found) == (False, "not known")


def test_nodes_of_before_have_no_authority_and_are_not_asked() -> None:
    assert checks(good(), authority="") == []


def test_its_client_comes_with_tls_where_nodes_speak_it() -> None:
    with_tls, without = (
        write_row(parse("dev", {**VALUES, "galera": {**VALUES["galera"], **tls}}), "t")
        for tls in ({"tls": {"caCertificate": CA}}, {})
    )
    assert f"ca='{CA}'" in with_tls
    assert "ca=''" in without
