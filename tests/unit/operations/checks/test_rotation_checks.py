"""What `verify` says of the store's certificates and of the passwords' age."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from components import certificates
from operations.checks import rotation as rotation_checks
from operations.checks.check import Check
from operations.facts import cluster as cluster_facts
from operations.facts import host_looks
from operations.facts import rotation as rotation_facts
from operations.facts.cluster import HostFacts
from operations.facts.rotation import Password, RotationFacts
from operations.outputs import parse
from tests.unit.operations.test_verify import NAMES, VALUES

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)
STACK = parse("dev", VALUES)
GOOD = RotationFacts(NOW + dt.timedelta(days=3000), 2, {"app": Password(NOW - dt.timedelta(days=12), 1)})


def checks(told: RotationFacts = GOOD) -> list[Check]:
    facts = dict.fromkeys(NAMES, HostFacts(rotation=told))
    return rotation_checks.of_rotation(STACK, facts, NOW)


def test_certificates_of_each_member_and_the_passwords_once() -> None:
    *members, passwords = checks()
    assert [check.where for check in members] == list(NAMES[:3])
    assert all(check.ok and not check.warns for check in members)
    assert members[0].found == "3000 days, until 2035-02-15"
    assert (passwords.ok, passwords.warns, passwords.found) == (True, False, "set 12 days ago")


@pytest.mark.parametrize(
    ("days", "ok", "warns"), [(366, True, False), (200, True, True), (29, False, True), (-2, False, True)]
)
def test_the_days_left_are_told_and_few_are_red(days: int, ok: bool, warns: bool) -> None:
    first, *_ = checks(replace(GOOD, ends=NOW + dt.timedelta(days=days)))
    assert (first.ok, first.warns) == (ok, warns)
    assert ("`up` renews" in first.remedy) is warns
    unknown, *_ = checks(replace(GOOD, ends=None))
    assert (unknown.ok, unknown.found) == (False, "not known")


def test_an_authority_that_has_yet_to_be_ended_is_told() -> None:
    first, *_ = checks(replace(GOOD, authorities=4))
    assert first.ok
    assert first.found.endswith("and a former authority is trusted")


@pytest.mark.parametrize(("days", "warns"), [(5, False), (31, True)])
def test_a_former_password_may_count_for_a_while_and_is_not_forgotten(days: int, warns: bool) -> None:
    both = {"app": Password(NOW - dt.timedelta(days=days), 2), "root": Password(None, 1)}
    *_, passwords = checks(replace(GOOD, passwords=both))
    assert passwords.found == f"set {days} days ago, and those before count for app"
    assert (passwords.ok, passwords.warns) == (True, warns)
    assert ("galera.passwords.ended" in passwords.remedy) is warns


def test_passwords_that_nobody_says_are_no_check_and_three_are_wrong() -> None:
    assert [check.where for check in checks(replace(GOOD, passwords={}))] == list(NAMES[:3])
    *_, passwords = checks(replace(GOOD, passwords={"app": Password(None, 3)}))
    assert not passwords.ok
    assert "set at an unknown time" in passwords.found


def test_facts_are_read_from_what_the_host_prints() -> None:
    one, other = (certificates.new_authority(name, NOW) for name in ("peers", "clients"))
    shown = certificates.server_certificate("etcd", ["etcd"], other, NOW - dt.timedelta(days=100))
    pem = one.certificate + other.certificate + shown.certificate
    text = "".join(f"shown\t{line}\n" for line in pem.splitlines())
    text += f"age\tapp\t{int(NOW.timestamp())}\t2\nage\troot\t0\t1\nage\tERROR 2002\n"
    told = cluster_facts.parse(text).rotation
    assert told.ends == certificates.ends(shown.certificate)
    assert told.authorities == 2
    assert told.passwords == {"app": Password(NOW, 2), "root": Password(None, 1)}


@pytest.mark.parametrize("shown", [[], ["-----BEGIN CERTIFICATE-----", "x", "-----END CERTIFICATE-----"]])
def test_what_is_no_certificate_is_not_known(shown: list[str]) -> None:
    assert rotation_facts.parse({"shown": shown}) == RotationFacts()


def test_only_verify_asks_and_nothing_secret_is_asked_for() -> None:
    assert "password_last_changed" not in host_looks.brief_look(STACK, manager=True, member=True)
    text = host_looks.look(STACK, manager=True, member=True)
    assert "password_last_changed" in text
    assert "/run/secrets/*.crt" in text
    assert ".key" not in text
