"""Data disks that are locked since a boot: whose keys there are, who is opened, and what is said."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import typer

from operations import remote_hosts
from operations.around_run import care
from operations.around_run.care import Seen
from operations.checks import disk_encryption as disk_encryption_checks
from operations.checks.check import Check
from operations.errors import OperationsError
from operations.outputs import parse
from operations.remote_hosts import Answer
from operations.unlock import locked_disks
from tests.unit.operations.test_verify import NAMES, VALUES, facts

pytestmark = pytest.mark.unit

KEYS = {name: f"key-of-{name}" for name in NAMES[:3]}
TOKEN = "pulumi-python:dynamic/swarm-galera:Token"
OPEN = "open /dev/xvdc aes-xts-plain64"
ENCRYPTED = parse(
    "dev",
    {
        **VALUES,
        "hosts": [{**host, "encrypted": host["name"] in KEYS} for host in VALUES["hosts"]],
        "diskKeys": KEYS,
    },
)


def token(name: str, value: Any) -> dict[str, Any]:
    return {
        "urn": f"urn:pulumi:dev::swarm-galera::{TOKEN}::{name}",
        "type": TOKEN,
        "outputs": {"value": value},
    }


EXPORTED = {
    "deployment": {
        "resources": [
            *(token(f"{name}-disk-key", {"plaintext": json.dumps(key)}) for name, key in KEYS.items()),
            token("consul-agent-token", "another"),
            {"urn": "urn:pulumi:dev::p::x::galera-9-disk-key", "type": "x"},
        ]
    }
}


class Hosts:
    """Hosts whose disks are so; `unlock` opens them by the right key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, states: Mapping[str, str]) -> None:
        self.states, self.given = dict(states), dict[str, str]()
        self.looks = False  # what is run only looks
        self.reachable, self.unreachable = list(states), {"galera-9": "no SSH"}

        @contextlib.asynccontextmanager
        async def connected(_: Any) -> AsyncIterator[Hosts]:
            yield self

        monkeypatch.setattr(remote_hosts, "connected", connected)

    async def run_all(self, texts: Mapping[str, str], *_: Any) -> dict[str, Answer]:
        told = {name: self.states[name] for name in texts}
        failed = Answer(error="two of them")
        return {name: failed if state == "error" else Answer(f"{state}\n") for name, state in told.items()}

    async def run(self, name: str, text: str, stdin: str = "", limit: float = 0.0) -> Answer:
        assert KEYS[name] not in text
        self.given[name] = stdin
        if self.looks:
            return Answer(f"{self.states[name]}\n")
        if stdin != f"{KEYS[name]}\n":
            return Answer(error="is not opened by the key")
        self.states[name] = OPEN
        return Answer("open\n")


def test_keys_are_found_in_the_state_by_their_hosts() -> None:
    assert locked_disks.keys_of(EXPORTED) == KEYS
    assert locked_disks.keys_of({}) == {}
    former = {**token("galera-2-disk-key", "of the former server"), "delete": True}
    for resources in ([former, token("galera-2-disk-key", "k")], [token("galera-2-disk-key", "k"), former]):
        assert locked_disks.keys_of({"deployment": {"resources": resources}}) == {"galera-2": "k"}


def all_opened(exported: Mapping[str, Any] = EXPORTED) -> list[str]:
    known = {"stack": "dev", "outputs": lambda self: VALUES, "config": lambda self: {}}
    return locked_disks.all_opened(cast(Any, type("P", (), known)()), exported)


def test_only_what_is_locked_is_opened_each_by_its_own_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = Hosts(monkeypatch, {"galera-1": OPEN, "galera-2": "locked", "galera-3": "closed"})
    assert all_opened() == ["galera-2", "galera-3"]
    assert hosts.given == {name: f"{KEYS[name]}\n" for name in ("galera-2", "galera-3")}
    said = capsys.readouterr().err
    assert "galera-9 could not be asked: no SSH" in said
    assert "The disk of galera-2, galera-3 is open" in said
    assert "key-of" not in said
    assert all_opened() == []


def test_hosts_are_reached_as_the_state_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that came to no end has replaced one: the outputs have the address and the key of the former."""
    Hosts(monkeypatch, {"galera-2": "locked"})
    asked: list[remote_hosts.Reachable] = []
    connected = remote_hosts.connected

    def noted(reached: remote_hosts.Reachable) -> Any:
        asked.append(reached)
        return connected(reached)

    monkeypatch.setattr(remote_hosts, "connected", noted)
    ready = {
        "urn": "urn:pulumi:dev::p::x:GuestReady::galera-2-ready",
        "type": "x:GuestReady",
        "outputs": {
            "hostname": "galera-2",
            "private_ip": "10.0.0.99",
            "public_ip": "203.0.113.99",
            "host_key": "ssh-ed25519 NEW",
        },
    }
    resources = [*EXPORTED["deployment"]["resources"], ready]
    assert all_opened({"deployment": {"resources": resources}}) == ["galera-2"]
    assert [(host.name, host.address) for host in asked[0].hosts] == [("galera-2", "203.0.113.99")]


def test_after_a_reboot_of_ours_the_keys_of_the_outputs_do(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, {"galera-1": OPEN, "galera-2": "locked"})
    found = parse("dev", {**VALUES, "diskKeys": KEYS})
    asyncio.run(locked_disks.unlocked(found))
    assert hosts.given == {"galera-2": f"{KEYS['galera-2']}\n"}


def test_a_stack_without_encrypted_disks_asks_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_hosts, "connected", None)
    assert all_opened({}) == []


def test_one_that_stays_locked_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Hosts(monkeypatch, {"galera-2": "locked"})
    wrong = {"deployment": {"resources": [token("galera-2-disk-key", "of another state")]}}
    with pytest.raises(OperationsError, match="Still locked: galera-2: is not opened by the key"):
        all_opened(wrong)


def test_what_is_not_prepared_yet_or_can_not_be_told_is_said_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = Hosts(monkeypatch, {"galera-1": "new", "galera-2": "error", "galera-3": "waiting"})
    assert all_opened() == ["galera-3"]
    assert hosts.given.keys() == {"galera-3"}
    said = capsys.readouterr().err
    assert "galera-1: its disk is not prepared yet" in said
    assert "galera-2 does not say how its disk is: two of them" in said
    Hosts(monkeypatch, {"galera-1": "beside"})
    assert all_opened() == []
    assert "galera-1: what is mounted is not on its encrypted disk" in capsys.readouterr().err


def seen(**engines: str) -> Seen:
    told = facts()
    for name, engine in engines.items():
        host = name.replace("_", "-")
        told[host] = replace(told[host], engine=engine)
    return Seen(ENCRYPTED, told, {})


def met(
    monkeypatch: pytest.MonkeyPatch,
    now: Seen,
    *,
    yes: bool = True,
    replace: Sequence[str] = (),
    going: Sequence[str] = (),
) -> Seen | None:
    monkeypatch.setattr(care, "look", lambda _: seen())
    servers = {"swarm-galera:servers": {"objectValue": {"replace": list(replace)}}}
    known = {"export": lambda self, show_secrets: EXPORTED, "config": lambda self: servers}
    return locked_disks.opened(cast(Any, type("P", (), known)()), now, yes, going)


def test_up_opens_what_it_meets_locked_and_looks_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = Hosts(monkeypatch, {"galera-2": "locked"})
    after = met(monkeypatch, seen(galera_2="inactive"))
    assert after is not None
    assert after.facts["galera-2"].engine == "active"
    assert hosts.given.keys() == {"galera-2"}
    assert "galera-2: no engine runs, and the data disk is encrypted: it may be" in capsys.readouterr().err


def test_up_goes_on_without_a_disk_that_no_key_opens_only_where_its_host_is_to_be_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Hosts(monkeypatch, {"galera-2": "locked", "galera-3": "locked"})
    monkeypatch.setitem(EXPORTED["deployment"]["resources"][1]["outputs"], "value", "of another state")
    now = seen(galera_2="inactive", galera_3="inactive")
    for named in ((), ("galera-3",)):
        with pytest.raises(OperationsError, match="Still locked: galera-2: is not opened by the key"):
            met(monkeypatch, now, replace=named)
    assert met(monkeypatch, now, replace=("galera-2",)) is not None
    assert met(monkeypatch, seen(galera_2="inactive"), going=["galera-2"]) is not None
    assert capsys.readouterr().err.count("Going on: galera-2 will be another server") == 2


def test_up_asks_before_it_opens_and_leaves_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, {"galera-2": "locked"})
    monkeypatch.setattr(typer, "confirm", lambda _: False)
    with pytest.raises(typer.Exit):
        met(monkeypatch, seen(galera_2="inactive"), yes=False)
    # An engine that has failed, one on a host without such a disk, and one that runs are others' matters.
    for now in (seen(galera_2="failed"), seen(galera_4="inactive"), seen()):
        assert met(monkeypatch, now) is now
    assert met(monkeypatch, cast(Any, None)) is None
    assert hosts.given == {}


def test_a_preview_only_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    locked_disks.told(seen(galera_2="inactive", galera_4="inactive"), "prod")
    said = capsys.readouterr().err
    assert "galera-2: no engine runs, and the data disk is encrypted" in said
    assert "operations unlock --stack prod" in said
    locked_disks.told(seen(), "prod")
    locked_disks.told(None, "prod")
    assert capsys.readouterr().err == ""


def test_a_host_is_booted_only_where_the_key_opens_its_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, {"galera-1": OPEN, "galera-2": "stranger", "galera-3": "locked"})
    hosts.looks = True
    for name in ("galera-1", "galera-3", "galera-4"):
        asyncio.run(locked_disks.require_key(ENCRYPTED, name))
    assert hosts.given == {name: f"{KEYS[name]}\n" for name in ("galera-1", "galera-3")}
    for found, name in ((ENCRYPTED, "galera-2"), (replace(ENCRYPTED, disk_keys={}), "galera-1")):
        with pytest.raises(OperationsError, match=f"{name} is not rebooted: its data disk is encrypted"):
            asyncio.run(locked_disks.require_key(found, name))


# -- verify


def checks(**states: str) -> list[Check]:
    answers = {name.replace("_", "-"): Answer(state) for name, state in states.items()}
    return list(disk_encryption_checks.of_disks(ENCRYPTED, answers))


def test_an_open_encrypted_disk_holds_and_others_are_named() -> None:
    good, locked, plain, *_ = checks(galera_1=OPEN, galera_2="locked", galera_3="none")
    assert (good.ok, good.found) == (True, "/dev/xvdc aes-xts-plain64")
    assert (locked.ok, locked.found) == (False, "it is locked since the host's last boot")
    assert "operations unlock" in locked.remedy
    assert (plain.ok, plain.found) == (False, "it is not encrypted")
    new, beside, waiting, *_ = checks(galera_1="new", galera_2="beside", galera_3="waiting")
    assert "`up` goes on with it" in new.found
    assert (beside.ok, beside.found) == (False, "what is mounted is not on it, and in plain")
    assert (waiting.ok, waiting.found) == (False, "it is open, and the engine does not run")
    assert "operations unlock" in waiting.remedy


def test_hosts_in_plain_beside_encrypted_ones_are_warned_of_and_without_any_nobody_is_asked() -> None:
    *_, last = checks(galera_1=OPEN)
    assert (last.where, last.ok, last.warns) == ("galera-4", True, True)
    assert checks() == []
    assert disk_encryption_checks.hosts_of(parse("dev", VALUES)) == []
    assert disk_encryption_checks.hosts_of(ENCRYPTED) == list(KEYS)


def test_a_key_that_is_not_the_disks_is_found_before_the_next_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, dict.fromkeys(KEYS, OPEN))
    answers = asyncio.run(disk_encryption_checks.ask(ENCRYPTED, cast(remote_hosts.RemoteHosts, hosts)))
    assert hosts.given == {name: f"{key}\n" for name, key in KEYS.items()}
    assert answers.keys() == KEYS.keys()
    stranger, *_ = checks(galera_1="stranger")
    assert (stranger.ok, stranger.found) == (
        False,
        "it is open, and the key in the stack's state does not open it",
    )
    without = replace(ENCRYPTED, disk_keys={})
    lost, *_ = disk_encryption_checks.of_disks(without, {"galera-1": Answer(OPEN)})
    assert not lost.ok
    assert "after its next boot nobody can open it" in stranger.remedy == lost.remedy


def test_a_host_that_does_not_say_fails() -> None:
    answers = {"galera-1": Answer(error="no SSH"), "galera-2": Answer("")}
    first, second, *_ = disk_encryption_checks.of_disks(ENCRYPTED, answers)
    assert (first.ok, first.found, second.ok, second.found) == (False, "no SSH", False, "no answer")


def test_unlock_opens_disks_before_it_asks_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, {"galera-1": "locked"})
    asyncio.run(locked_disks._opened(locked_disks.Reached((), None), KEYS))
    assert hosts.states["galera-1"] == OPEN
