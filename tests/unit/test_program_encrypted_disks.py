"""What the program declares for encrypted data disks: off, on, where there are hosts already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.disk_encryption import Disks
from components.softlayer.virtual_guest_provider import VirtualGuestProvider
from settings import Settings, SettingsError, parse
from tests.unit.program import FITTING, SETTINGS, Recorded, run

pytestmark = pytest.mark.unit

HOSTS = ("galera-1", "galera-2", "galera-3")
ON = {"servers": {"encryptedDisk": True}}
DB = [{"name": f"db{n}", "address": f"10.0.0.{n}", "disk": "/dev/sdb"} for n in (1, 2, 3)]


@pytest.fixture(autouse=True)
def agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts of one's own know the key that it holds."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")


@pytest.fixture(scope="module")
def plain(home: Path) -> Recorded:
    return run()


@pytest.fixture(scope="module")
def encrypted(home: Path) -> Recorded:
    return run(ON)


def test_off_there_is_no_key_and_no_word_of_it(plain: Recorded) -> None:
    off = run({"servers": {"encryptedDisk": False}})
    # To the servers' provider, a switch that is off is one that is not set: see below.
    for name, made in plain.resources.items():
        assert name.endswith("-guest") or off.resources[name].inputs == made.inputs, name
    assert off.resources.keys() == plain.resources.keys()
    assert not [name for name in plain.resources if name.endswith("-disk-key")]
    assert "diskKeys" not in plain.outputs
    assert not [host for host in plain.outputs["hosts"] if "encrypted" in host]
    for host in HOSTS:
        assert "cryptsetup" not in plain.resources[f"{host}-disk-prepared"].inputs["stdin"]
        assert "encrypted_disk" not in plain.resources[f"{host}-guest"].inputs


def test_on_each_host_has_a_key_of_its_own_that_comes_over_standard_input(encrypted: Recorded) -> None:
    for host in HOSTS:
        key = encrypted.resources[f"{host}-disk-key"]
        assert key.inputs["form"] == "key"
        step = encrypted.resources[f"{host}-disk-prepared"].inputs
        assert "cryptsetup luksFormat" in step["stdin"]
        assert "cryptsetup" not in step["create"]
        assert step["stdin"].index("IFS= read -r key") < step["stdin"].index("cryptsetup-bin")
        assert encrypted.resources[f"{host}-guest"].inputs["encrypted_disk"] is True
        # After a reboot of its server it is opened again, before that host is waited for.
        assert len(step["triggers"]) == 3
    assert "stdin" in encrypted.secret_inputs["galera-1-disk-prepared"]
    assert set(encrypted.outputs["diskKeys"]) == set(HOSTS)
    assert "diskKeys" in encrypted.secret_outputs
    assert [host["encrypted"] for host in encrypted.outputs["hosts"]] == [True] * 3


def test_a_running_stacks_servers_are_replaced_for_it_and_never_all_at_once(encrypted: Recorded) -> None:
    """As for any other property that replaces: refused, until `servers.replace` names one host."""
    given = encrypted.resources["galera-1-guest"].inputs
    olds = {**given, "encrypted_disk": None}
    provider = VirtualGuestProvider()
    for off in (None, False):
        assert not provider.diff(
            "1", {**olds, "encrypted_disk": off}, {**given, "encrypted_disk": None}
        ).changes
    with pytest.raises(Exception, match=r"a change of encrypted_disk \(none to true\) replaces the server"):
        provider.diff("1", olds, {**given, "on_replacement": "refuse"})
    assert provider.diff("1", olds, {**given, "on_replacement": "replace"}).replaces == ["encrypted_disk"]
    assert not provider.diff("1", olds, {**given, "on_replacement": "keep"}).replaces


def settings(**servers: Any) -> Settings:
    known = {key: value for key, value in SETTINGS.items() if key != "servers"}
    if servers.get("kind") == "existing":
        del known["ssh"], known["endpoint"]
        return parse({**known, "servers": servers})
    return parse({**known, "servers": {**SETTINGS["servers"], **servers}})


def state(**encrypted: bool | None) -> Mapping[str, Any]:
    kind = "urn:pulumi:dev::p::a$pulumi-python:dynamic/softlayer:VirtualGuest::"
    return {
        f"{kind}{name.replace('_', '-')}-guest": {"outputs": {"encrypted_disk": value}}
        for name, value in encrypted.items()
    }


def last(*names: str, encrypted: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"hosts": [{"name": name, **({"encrypted": True} if name in encrypted else {})} for name in names]}


def disks(wanted: Settings, former: Mapping[str, Any], known: Mapping[str, Any]) -> Disks:
    return Disks.of(wanted, former, lambda: known)


def test_a_host_keeps_the_disk_that_it_was_prepared_with_until_it_is_replaced() -> None:
    wanted, former = settings(encryptedDisk=True, replace=["galera-1"]), last(*HOSTS)
    found = disks(wanted, former, state(galera_1=None, galera_2=None, galera_3=None))
    assert found.encrypted == {"galera-1"}
    assert found.plain == ["galera-2", "galera-3"]
    # The next run, and one that was cancelled by somebody: its server is not in the state any more.
    wanted = settings(encryptedDisk=True)
    former = last(*HOSTS, encrypted=("galera-1",))
    found = disks(wanted, former, state(galera_1=True, galera_2=None))
    assert found.encrypted == {"galera-1", "galera-3"}
    assert found.plain == ["galera-2"]


def test_a_host_that_gets_another_server_for_its_own_sake_is_prepared_as_the_settings_say() -> None:
    known = state(galera_1=None, galera_2=None, galera_3=None)
    found = Disks.of(settings(encryptedDisk=True), last(*HOSTS), lambda: known, ["galera-2"])
    assert found.encrypted == {"galera-2"}


def test_turned_off_an_encrypted_disk_stays_one_and_new_hosts_have_none() -> None:
    former = last(*HOSTS, encrypted=HOSTS)
    found = disks(settings(workers=1), former, state(galera_1=True, galera_2=True, galera_3=True))
    assert found.encrypted == set(HOSTS)
    assert found.plain == []


def test_before_the_first_complete_run_there_may_be_no_state_to_ask() -> None:
    def never() -> Any:
        raise AssertionError

    assert Disks.of(settings(), {}, never) == Disks()
    assert Disks.of(settings(encryptedDisk=True), {}, never).encrypted == set(HOSTS)


def test_a_server_that_came_encrypted_in_a_run_without_an_end_keeps_its_key() -> None:
    """The outputs are of before, the setting is off again, and another server is replaced: this one stays."""
    known = state(galera_1=True, galera_2=None, galera_3=None)
    for wanted in (settings(), settings(replace=["galera-2"])):
        assert disks(wanted, last(*HOSTS), known).encrypted == {"galera-1"}
    assert disks(settings(replace=["galera-1"]), last(*HOSTS), known).encrypted == set()
    assert disks(settings(), last(*HOSTS), state(galera_1=None)) == Disks()


def test_pools_may_differ() -> None:
    pools = [{"name": "apps", "count": 1, "encryptedDisk": False}]
    found = disks(settings(encryptedDisk=True, pools=pools), {}, {})
    assert found.encrypted == set(HOSTS)


def test_what_stays_in_plain_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    Disks(frozenset({"galera-1"}), ["galera-2"]).tell()
    assert "the data disk of galera-2 is not encrypted, although the settings say so" in warned[0]
    Disks().tell()
    assert len(warned) == 1


# -- hosts of one's own


def test_own_hosts_with_a_disk_get_a_key_that_outlives_their_system(home: Path) -> None:
    made = run({"servers": {"kind": "existing", "hosts": DB, "encryptedDisk": True}})
    assert "holder" not in made.resources["db1-disk-key"].inputs
    assert "named=/dev/sdb" in made.resources["db1-disk-prepared"].inputs["stdin"]
    ordered = run(ON)
    assert "holder" in ordered.resources["galera-1-disk-key"].inputs


def test_own_hosts_that_were_prepared_before_are_refused_where_nothing_would_be_encrypted() -> None:
    own = {"kind": "existing", "hosts": DB, "encryptedDisk": True}
    with pytest.raises(SettingsError, match=r"disks of db1, db2, db3 were prepared without encryption") as no:
        disks(settings(**own), last("db1", "db2", "db3"), {})
    assert "Remedy: one host after the other" in str(no.value)
    # One that comes anew is encrypted, and the others are said to be in plain.
    found = disks(settings(**own), last("db2", "db3"), {})
    assert (set(found.encrypted), found.plain) == ({"db1"}, ["db2", "db3"])
    known = last("db1", "db2", "db3", encrypted=("db1",))
    assert disks(settings(**own), known, {}).plain == ["db2", "db3"]


def test_a_host_of_ones_own_that_came_encrypted_in_a_run_without_an_end_keeps_its_key(home: Path) -> None:
    own = {"kind": "existing", "hosts": DB}
    step = "urn:pulumi:dev::p::command:remote:Command::db3-disk-prepared"

    def known(encrypted: bool) -> Mapping[str, Any]:
        made = run({"servers": {**own, "encryptedDisk": encrypted}})
        return {step: {"outputs": made.resources["db3-disk-prepared"].inputs}}

    former = last("db1", "db2")
    assert disks(settings(**own), former, known(True)).encrypted == {"db3"}
    assert disks(settings(**own), former, known(False)) == Disks()
    # The outputs may be of before it was taken out and named again.
    assert disks(settings(**own), last("db1", "db2", "db3"), known(True)).encrypted == {"db3"}


def test_an_open_encrypted_disk_of_ones_own_host_is_never_taken_for_a_plain_one(home: Path) -> None:
    """In a first run that came to no end, or of a former stack: there are no outputs, and no state to ask."""
    own = {"kind": "existing", "hosts": DB}
    seen = {"db2": replace(FITTING, hostname="db2", addresses=("10.0.0.2",), boot="2", encrypted=True)}
    made = run({"servers": own}, seen=seen)
    assert "cryptsetup luksFormat" in made.resources["db2-disk-prepared"].inputs["stdin"]
    assert [name for name in made.resources if name.endswith("-disk-key")] == ["db2-disk-key"]
    assert set(made.outputs["diskKeys"]) == {"db2"}


def test_own_hosts_without_a_disk_are_refused_rather_than_left_in_plain() -> None:
    hosts = [*DB[:2], {"name": "db3", "address": "10.0.0.3"}]
    with pytest.raises(SettingsError, match=r"encryptedDisk: db3 has no disk for the engine's data"):
        settings(kind="existing", hosts=hosts, encryptedDisk=True)
    assert settings(kind="existing", hosts=hosts).servers.hostnames == ["db1", "db2", "db3"]
