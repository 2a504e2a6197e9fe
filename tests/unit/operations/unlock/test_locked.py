"""Locked managers: who is unlocked with which keys, what `up` and `preview` say, what `verify` finds."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from components.host_scripts.autolock import STATE
from components.manager_choice import PROBE
from operations import outputs, remote_hosts, stack
from operations.around_run import care
from operations.around_run.care import Seen
from operations.around_run.swarm_leftovers import Managers
from operations.checks import autolock as autolock_checks
from operations.checks import cluster as cluster_checks
from operations.cli import build
from operations.errors import OperationsError
from operations.facts import cluster as cluster_facts
from operations.facts import host_looks
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs
from operations.pulumi_cli import Pulumi
from operations.remote_hosts import Answer
from operations.unlock import back_again, locked
from operations.unlock import keys as unlock_keys
from tests.unit.fake_host import FakeHost
from tests.unit.operations.test_stack import OUTPUTS, calls, project
from tests.unit.operations.test_verify import VALUES, facts

pytestmark = pytest.mark.unit
__all__ = ["project"]  # a fixture

NOW, BEFORE = "SWMKEY-1-marked-now", "SWMKEY-1-marked-before"
WITH = {**VALUES, "unlockKey": {"generation": 2, "key": NOW, "former": [{"generation": 1, "key": BEFORE}]}}
FOUND = outputs.parse("dev", WITH)
MANAGERS = ("galera-1", "galera-2", "galera-3")


def secret(value: Any) -> dict[str, str]:
    return {"4dabf18193072939515e22adb298388d": "1b47", "plaintext": json.dumps(value)}


def state(**outs: Any) -> dict[str, Any]:
    """A state with the keys; `outs` of the step that asks for them."""
    former = [{"generation": 1, "key": BEFORE}]
    return {
        "deployment": {
            "resources": [
                {"type": "docker:index/service:Service", "urn": "a::b::etcd", "outputs": {}},
                {
                    "type": "command:local:Command",
                    "urn": f"urn:pulumi:dev::swarm-galera::command:local:Command::{unlock_keys.STEP}",
                    "outputs": outs,
                },
                {
                    "type": "pulumi-python:dynamic/swarm-galera:UnlockKeys",
                    "urn": "urn:pulumi:dev::swarm-galera::x::swarm-autolock-keys",
                    "outputs": {"key": secret(NOW), "former": secret(former)},
                },
            ]
        }
    }


# -- the keys


def test_the_keys_are_found_in_the_state_the_one_in_use_first() -> None:
    said = secret(json.dumps({"key": NOW, "replaced": BEFORE}))
    assert unlock_keys.of_state(state(stdout=said)) == [NOW, BEFORE]


def test_a_key_that_a_killed_run_has_left_with_its_step_only_is_found_too() -> None:
    said = secret(json.dumps({"key": "SWMKEY-1-newest", "replaced": ""}))
    assert unlock_keys.of_state(state(stdout=said)) == ["SWMKEY-1-newest", NOW, BEFORE]
    assert unlock_keys.of_state(state(stdout="{broken")) == [NOW, BEFORE]


@pytest.mark.parametrize("exported", [{}, {"deployment": {"resources": []}}, {"deployment": None}])
def test_a_stack_without_autolock_has_none(exported: dict[str, Any]) -> None:
    assert unlock_keys.of_state(exported) == []


def test_the_outputs_tell_the_keys_and_show_them_to_nobody() -> None:
    assert FOUND.unlock_keys == (NOW, BEFORE)
    assert outputs.parse("dev", VALUES).unlock_keys == ()
    assert "SWMKEY" not in repr(FOUND)


# -- unlocking


@dataclass
class Remote:
    """Managers with their states; a key that fits makes one active, a majority of those a leader."""

    states: dict[str, str]
    needs: Mapping[str, str] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    given: str = ""
    private_key: str | None = None

    @property
    def reachable(self) -> list[str]:
        return [name for name in self.states if name not in self.unreachable]

    async def run_all(self, texts: Mapping[str, str], stdin: str = "", limit: float = 0) -> dict[str, Answer]:
        self.asked.append(dict(texts))
        return {name: self._answer(name, text, stdin) for name, text in texts.items()}

    def _answer(self, name: str, text: str, stdin: str) -> Answer:
        if text == STATE:
            return Answer(f"{self.states[name]}\n")
        if text == PROBE:
            active = sum(found == "active" for found in self.states.values())
            leads = self.states[name] == "active" and 2 * active > len(self.states)
            return Answer("leads\n" if leads else f"{self.states[name]} false\n")
        self.given = stdin
        if self.needs.get(name, NOW) not in stdin.split():
            return Answer(error="none of the 2 unlock keys in the stack's state fits")
        self.states[name] = "active"
        return Answer("active\n")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(locked, "say", lines.append)
    monkeypatch.setattr(locked, "EVERY", 0.001)
    monkeypatch.setattr(back_again, "say", lines.append)
    monkeypatch.setattr(back_again, "EVERY", 0.001)
    return lines


def reached(monkeypatch: pytest.MonkeyPatch, remote: Remote) -> None:
    @contextlib.asynccontextmanager
    async def connected(_: object) -> AsyncIterator[Remote]:
        yield remote

    monkeypatch.setattr(remote_hosts, "connected", connected)


def unlocked(monkeypatch: pytest.MonkeyPatch, remote: Remote, *keys: str) -> locked.Unlocked:
    reached(monkeypatch, remote)
    return asyncio.run(locked._unlocked(Managers(FOUND.managers, None), keys))


def test_after_a_power_cut_of_all_hosts_all_managers_are_unlocked_side_by_side(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    remote = Remote(dict.fromkeys(MANAGERS, "locked"))
    found = unlocked(monkeypatch, remote, NOW, BEFORE)
    found.require_leader()
    assert (list(found.locked), found.led) == (list(MANAGERS), True)
    # In one go: the engine answers a key that fits only once a majority is unlocked.
    assert [set(texts) for texts in remote.asked[:2]] == [set(MANAGERS)] * 2
    assert remote.given == f"{NOW}\n{BEFORE}\n"
    assert said == ["Unlocking galera-1, galera-2, galera-3 …"]
    assert "SWMKEY" not in str(remote.asked) + str(said)


def test_only_who_is_locked_is_given_a_key(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    remote = Remote({"galera-1": "active", "galera-2": "locked", "galera-3": "active"})
    assert unlocked(monkeypatch, remote, NOW).locked == ["galera-2"]
    assert set(remote.asked[1]) == {"galera-2"}
    quiet = Remote(dict.fromkeys(MANAGERS, "active"))
    assert unlocked(monkeypatch, quiet).locked == []
    assert len(quiet.asked) == 1


def test_one_that_no_key_fits_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    remote = Remote(dict.fromkeys(MANAGERS, "locked"), needs={"galera-3": "SWMKEY-1-by-hand"})
    with pytest.raises(
        OperationsError, match=r"Still locked: galera-3: none of the 2 .* `docker swarm unlock`"
    ):
        unlocked(monkeypatch, remote, NOW, BEFORE).require_leader()
    # The others are unlocked all the same.
    assert remote.states["galera-1"] == "active"


def test_a_minority_that_is_unlocked_has_no_leader_and_who_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(locked, "LED_WITHIN", 0.05)
    monkeypatch.setattr(locked, "TELL", 0.01)
    away = dict.fromkeys(("galera-2", "galera-3"), "no SSH")
    remote = Remote(dict.fromkeys(MANAGERS, "locked"), unreachable=away)
    with pytest.raises(
        OperationsError, match=r"no leader.*do not answer \(galera-2, galera-3\), then repeat"
    ):
        unlocked(monkeypatch, remote, NOW).require_leader()
    assert "waiting for the swarm's leader: galera-1 active false" in said


def test_without_a_key_in_the_state_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    remote = Remote(dict.fromkeys(MANAGERS, "locked"))
    with pytest.raises(
        OperationsError, match="galera-1, galera-2, galera-3 are locked, and the stack's state has"
    ):
        unlocked(monkeypatch, remote)
    assert len(remote.asked) == 1


class State:
    """Stands for `Pulumi`: a stack's state and outputs."""

    stack = "dev"

    def __init__(self, values: dict[str, Any] | None = WITH) -> None:
        self.values = values

    def export(self, *, show_secrets: bool = False) -> dict[str, Any] | None:
        assert show_secrets
        return state()

    def outputs(self) -> dict[str, Any]:
        return self.values or {}

    def config(self) -> dict[str, Any]:
        servers = {"objectValue": {"managers": 3}}
        return {"swarm-galera:servers": servers}


def test_the_command_unlocks_all_and_needs_no_run_of_pulumi(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(dict.fromkeys(MANAGERS, "locked"), needs={"galera-2": BEFORE})
    reached(monkeypatch, remote)
    monkeypatch.setattr(locked, "Pulumi", lambda *_: State())
    done = CliRunner().invoke(build(), ["unlock", "--stack", "dev"])
    assert done.exit_code == 0, done.output
    assert "galera-1, galera-2, galera-3 are unlocked, and the swarm has a leader" in done.stderr
    assert "SWMKEY" not in done.output + done.stderr
    again = CliRunner().invoke(build(), ["unlock", "--stack", "dev"])
    assert (again.exit_code, "No manager that answers is locked." in again.stderr) == (0, True)


def test_hosts_are_known_from_the_state_where_no_run_has_come_to_its_end() -> None:
    class Young(State):
        def export(self, *, show_secrets: bool = False) -> dict[str, Any] | None:
            ready = {
                "type": "x:GuestReady",
                "outputs": {
                    "hostname": "galera-1",
                    "private_ip": "10.144.12.1",
                    "public_ip": "203.0.113.1",
                    "host_key": "ssh-ed25519 AAAA",
                },
            }
            key = {"type": "x:SshKeyPair", "outputs": {"private_key": secret("KEY")}}
            return {"deployment": {"resources": [ready, key] if self.values is not None else []}}

    found = locked._reached(cast(Pulumi, Young({})))
    assert ([host.name for host in found.hosts], found.private_key) == (["galera-1"], "KEY")
    with pytest.raises(OperationsError, match="Its state knows no hosts either"):
        locked._reached(cast(Pulumi, Young(None)))


# -- met by `up` and `preview`


def lock(host: HostFacts) -> HostFacts:
    """As a host is whose engine has restarted."""
    return replace(host, swarm="locked", managers=(), node="", galera={}, etcd_healthy=False)


def seen(*names: str) -> Seen:
    found = facts()
    return Seen(FOUND, {name: lock(host) if name in names else host for name, host in found.items()}, {})


def test_preview_says_who_is_locked_and_goes_on_while_the_swarm_has_a_leader(said: list[str]) -> None:
    assert locked.told(None, "prod") is None
    assert locked.told(seen(), "prod") is not None
    assert said == []
    now = seen("galera-2")
    assert locked.told(now, "prod") is now
    assert said == [
        "galera-2 is locked since engine or host has restarted. `up` unlocks them, as "
        "`python -m operations unlock --stack prod` does."
    ]


def test_preview_of_a_swarm_that_can_not_be_asked_ends_with_one_line(said: list[str]) -> None:
    with pytest.raises(OperationsError) as caught:
        locked.told(seen(*MANAGERS), "prod")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("galera-1, galera-2, galera-3 are locked (swarm.autolock")
    assert "Remedy: `python -m operations unlock --stack prod`, then repeat" in str(caught.value)


def test_up_unlocks_and_goes_on_with_the_hosts_as_they_are_then(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    remote = Remote(dict.fromkeys(MANAGERS, "locked"))
    reached(monkeypatch, remote)
    looks = iter(
        [replace(seen(), facts={**facts(), "galera-2": replace(facts()["galera-2"], galera={})}), seen()]
    )
    monkeypatch.setattr(care, "look", lambda _: next(looks))
    after = locked.opened(cast(Pulumi, State()), seen(*MANAGERS), yes=True)
    assert after is not None
    assert (after.unwell, set(remote.states.values())) == ({}, {"active"})
    assert said[-2:] == [
        "waiting for what runs there: galera-2: its database is not running, no answer",
        "galera-1, galera-2, galera-3 are unlocked and well again.",
    ]


def test_up_goes_on_when_what_runs_there_is_not_back_in_time(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    reached(monkeypatch, Remote({**dict.fromkeys(MANAGERS, "active"), "galera-2": "locked"}))
    monkeypatch.setattr(back_again, "WITHIN", 0.01)
    ill = replace(seen(), facts={**facts(), "galera-2": replace(facts()["galera-2"], galera={})})
    monkeypatch.setattr(care, "look", lambda _: ill)
    assert locked.opened(cast(Pulumi, State()), seen("galera-2"), yes=True) is ill
    assert "galera-2: its database is not running, no answer. Going on." in said[-1]


def test_up_asks_before_it_unlocks_and_leaves_hosts_alone_that_need_nothing(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    now = seen()
    assert locked.opened(cast(Pulumi, State()), now, yes=False) is now
    monkeypatch.setattr(typer, "confirm", lambda _question: False)
    with pytest.raises(typer.Exit):
        locked.opened(cast(Pulumi, State()), seen("galera-2"), yes=False)
    assert said[-1] == "Nothing was changed."


@pytest.mark.parametrize("command", [stack.preview, lambda name: stack.refresh(name, yes=True)])
def test_preview_and_refresh_ask_pulumi_nothing_while_the_swarm_can_not_be_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[str], None]
) -> None:
    monkeypatch.setattr(care, "looked", lambda _: seen(*MANAGERS))
    (project / "state.json").write_text("{}")
    with pytest.raises(OperationsError, match="galera-1, galera-2, galera-3 are locked"):
        command("dev")
    assert not [call for call in calls(project) if call.startswith(("preview", "refresh"))]


def test_up_unlocks_before_it_does_anything_else(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def opened(_pulumi: Pulumi, now: Seen | None, yes: bool, going: object) -> Seen | None:
        order.append(f"{locked.names(now) if now else now}, {yes}, {'up' in ' '.join(calls(project))}")
        return seen()

    monkeypatch.setattr(care, "looked", lambda _: seen("galera-2"))
    monkeypatch.setattr(locked, "opened", opened)
    (project / "outputs.json").write_text(json.dumps({**OUTPUTS, "layer": "hosts"}))
    stack.up("dev", yes=True)
    assert order == ["['galera-2'], True, False"]
    assert [call for call in calls(project) if call.startswith("up ")]


def test_a_locked_manager_is_not_well_so_no_other_host_is_interrupted() -> None:
    assert seen("galera-2").unwell == {"galera-2": "its engine is not active in the swarm (locked)"}
    assert seen("galera-2").ill == []


def test_an_engine_that_is_mended_is_given_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, str]] = []

    class Hosts:
        async def run(self, _host: str, text: str, stdin: str, *_: object) -> Answer:
            ran.append((text, stdin))
            return Answer(error="no")

    @contextlib.asynccontextmanager
    async def connected(_: object) -> AsyncIterator[Hosts]:
        yield Hosts()

    monkeypatch.setattr(remote_hosts, "connected", connected)
    for found, host in ((FOUND, "galera-3"), (FOUND, "galera-4"), (outputs.parse("dev", VALUES), "galera-3")):
        with pytest.raises(OperationsError):
            asyncio.run(care._restart(found, host))
    assert [stdin for _, stdin in ran] == [f"1\n{NOW}\n{BEFORE}\n", "1\n", "1\n"]
    assert ["docker swarm unlock" in text for text, _ in ran] == [True, False, False]


# -- verify


def test_a_locked_manager_is_named_with_the_remedy() -> None:
    found = {**facts(), "galera-2": replace(lock(facts()["galera-2"]), swarm_error="Swarm is encrypted")}
    (check,) = [
        each
        for each in cluster_checks.of_hosts(FOUND, found)
        if each.where == "galera-2" and each.what.startswith("engine")
    ]
    assert not check.ok
    assert check.found == "btrfs, locked (Swarm is encrypted)"
    assert "`python -m operations unlock`" in check.remedy


def with_autolock(says: str = "true", key: str = NOW, of: tuple[str, ...] = MANAGERS) -> dict[str, HostFacts]:
    digest = hashlib.sha256(key.encode()).hexdigest() if key else ""
    return {
        name: replace(host, autolock=says, unlock_digest=digest) if name in of else host
        for name, host in facts().items()
    }


@pytest.mark.parametrize(
    ("told", "ok", "found", "remedy"),
    [
        (with_autolock(), True, "autolock is on, and the state has its key", ""),
        (with_autolock(of=("galera-3",)), True, "autolock is on, and the state has its key", ""),
        (with_autolock("false", ""), False, "autolock is off", "--replace '**swarm-autolock-on'"),
        (with_autolock(key=BEFORE), False, "its key is another one", "swarm.unlockKeyGeneration by one"),
        (with_autolock(key=""), False, "no manager tells its key", "swarm.unlockKeyGeneration by one"),
        (facts(), False, "no manager says", ""),
    ],
)
def test_verify_knows_whether_the_state_could_unlock(
    told: dict[str, HostFacts], ok: bool, found: str, remedy: str
) -> None:
    (check,) = autolock_checks.of_autolock(FOUND, told)
    assert (check.ok, check.found) == (ok, found)
    assert remedy in check.remedy
    assert "SWMKEY" not in str(check)
    assert autolock_checks.of_autolock(outputs.parse("dev", VALUES), told) == []


@pytest.mark.parametrize(
    ("stack", "manager", "asks"), [(WITH, True, True), (WITH, False, False), (VALUES, True, False)]
)
def test_only_managers_of_a_stack_with_autolock_are_asked_for_it(
    stack: dict[str, Any], manager: bool, asks: bool
) -> None:
    found: Outputs = outputs.parse("dev", stack)
    assert ("unlock-key" in host_looks.look(found, manager, False)) is asks


def test_the_key_itself_never_leaves_the_host_that_is_asked(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.program("docker", f'case "$*" in *unlock-key*) echo {NOW} ;; *AutoLockManagers*) echo true ;; esac')
    host.program("timeout", 'shift; exec "$@"')
    for name in ("findmnt", "df", "btrfs", "systemctl", "ip"):
        host.program(name)
    found = replace(FOUND, layer="swarm")
    ran = host.run(host_looks.look(found, True, False))
    told = cluster_facts.parse(ran.out)
    assert told.autolock == "true"
    assert told.unlock_digest == hashlib.sha256(NOW.encode()).hexdigest()
    assert NOW not in "\n".join([*ran.calls, ran.out, ran.err])
