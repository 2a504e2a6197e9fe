"""Autolock in the program: what it declares, in which order, and what of it is secret."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components import moved_steps
from components.unlock_keys import UnlockKeysProvider
from tests.unit import program
from tests.unit.program import COMMANDS, Recorded

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("home")]

ON: dict[str, Any] = {"autolock": True}
OWN: dict[str, Any] = {
    "kind": "existing",
    "hosts": [
        {"name": "db1", "address": "10.0.0.1"},
        {"name": "db2", "address": "10.0.0.2", "user": "ops"},
        {"name": "db3", "address": "10.0.0.3"},
        {"name": "db4", "address": "10.0.0.4", "role": "worker"},
    ],
}


def run(swarm: dict[str, Any] = ON, /, former: dict[str, Any] | None = None, **settings: Any) -> Recorded:
    return program.run({"swarm": swarm, **settings}, former=former)


def text(found: Recorded, name: str) -> str:
    """The script of a step."""
    return str(found.resources[name].inputs["stdin"])


def functions(found: Recorded, name: str) -> dict[str, str]:
    """The script's functions by name."""
    parts = re.split(r"^(create|update|delete)\(\) \{$", text(found, name), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_without_the_setting_nothing_of_it_is_declared() -> None:
    for found in (program.run(), run({"autolock": False})):
        assert not [name for name in found.resources if "unlock" in name or "autolock" in name]
        assert "unlockKey" not in found.outputs


def test_autolock_comes_after_every_node_and_every_engines_restart() -> None:
    found = run(servers={"workers": 1})
    after = found.depends_on["swarm-autolock-on"]
    assert {f"swarm-galera-{n}-node" for n in (1, 2, 3, 4)} <= after
    assert {f"galera-{n}-engine-current" for n in (1, 2, 3)} <= after
    assert "swarm-autolock-on" in found.depends_on["swarm-autolock-key"]


def test_the_key_is_secret_wherever_it_stands() -> None:
    found = run()
    assert {"key", "replaced"} <= found.secret_inputs["swarm-autolock-keys"]
    assert found.resources["swarm-autolock-key"].inputs["logging"] == "stderr"
    assert "unlockKey" in found.secret_outputs
    assert found.outputs["unlockKey"] == {
        "generation": 1,
        "key": "SWMKEY-1-now",
        "former": [{"generation": 1, "key": "SWMKEY-1-former"}],
    }
    for name, made in found.resources.items():
        if name != "swarm-autolock-keys":
            assert "SWMKEY-1-now" not in str(made.inputs), name


def test_only_another_generation_rotates_and_removing_autolock_turns_it_off() -> None:
    for generation, rotates in ((1, ""), (2, "yes")):
        found = run({**ON, "unlockKeyGeneration": generation})
        step = found.resources["swarm-autolock-key"].inputs
        assert step["triggers"] == [generation, "id-of-swarm-autolock-on"]
        assert (step["create"][-10:], step["update"][-10:]) == ("run create", "run update")
        its = functions(found, "swarm-autolock-key")
        assert [word in its["create"] for word in ("rotate=''", "rotate=yes")] == [not rotates, bool(rotates)]
        assert "rotate=''" in its["update"]
        assert "delete" not in step or step["delete"] is None
    turned = functions(found, "swarm-autolock-on")
    assert "--autolock=true" in turned["create"]
    assert "--autolock=false" in turned["delete"]


def test_the_keys_stay_in_the_state_until_it_is_turned_off() -> None:
    """Pulumi deletes what depends on another first."""
    found = run()
    below, left = set[str](), ["swarm-autolock-off"]
    while left:
        for name in found.depends_on.get(left.pop(), ()):
            if name not in below:
                below.add(name)
                left.append(name)
    assert {"swarm-autolock-keys", "swarm-autolock-key", "swarm-autolock-on"} <= below
    its = functions(found, "swarm-autolock-off")
    assert its["create"].strip().splitlines()[0] == ":"
    assert "--autolock=false" in its["delete"]
    # Nothing but its end turns anything off: it is never run again with another one first.
    assert found.resources["swarm-autolock-off"].inputs.get("triggers") is None
    assert found.deleted_with["swarm-autolock-off"] == "galera-1"


def test_steps_on_a_manager_are_among_those_that_a_state_of_before_brings_over() -> None:
    found = run()
    for name in ("swarm-autolock-on", "swarm-autolock-key", "swarm-autolock-off"):
        assert found.resources[name].typ == "command:local:Command"
        assert moved_steps.ON_A_MANAGER.fullmatch(name)


def test_every_manager_and_no_worker_is_unlocked_after_what_interrupts_it() -> None:
    found = run(servers={"workers": 1})
    names = [name for name in found.resources if name.endswith("-engine-unlocked")]
    assert sorted(names) == [f"galera-{n}-engine-unlocked" for n in (1, 2, 3)]
    step = found.resources["galera-2-engine-unlocked"]
    assert step.inputs["triggers"] == found.resources["galera-2-engine-current"].inputs["triggers"][1:]
    assert "others='galera-1 galera-3'" in step.inputs["stdin"]
    assert "galera-2-engine-unlocked" in found.depends_on["galera-2-engine-current"]
    assert "galera-2-engine-configured" in found.depends_on["galera-2-engine-unlocked"]
    for name, locks in (("galera-2", True), ("galera-4", False)):
        for each in ("configured", "current"):
            assert ("docker swarm unlock" in text(found, f"{name}-engine-{each}")) is locks


def test_a_hosts_turn_waits_for_no_step_that_waits_for_all_hosts() -> None:
    """A step that needs the unlock key from this run would have hosts wait for one another for ever."""
    found = run(servers={"workers": 1})
    seen, left = set[str](), ["galera-1-engine-current"]
    while left:
        for name in found.depends_on.get(left.pop(), ()):
            if name not in seen:
                seen.add(name)
                left.append(name)
    assert "galera-1-engine-unlocked" in seen
    assert not [name for name in seen if name.startswith(("swarm", "galera-2", "galera-3"))]


def test_hosts_of_ones_own_have_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    found = run(servers=OWN)
    assert "docker swarm unlock" in text(found, "db1-engine-configured")
    assert "db4-engine-unlocked" not in found.resources
    # What is not deleted with a host is turned off when the stack goes.
    assert found.deleted_with["swarm-autolock-on"] == ""
    assert run().deleted_with["swarm-autolock-on"] == "galera-1"


def test_below_the_swarm_there_is_none() -> None:
    found = run(deployUpTo="hosts")
    assert not [name for name, made in found.resources.items() if "unlock" in name and made.typ in COMMANDS]
    assert "docker swarm unlock" not in text(found, "galera-1-engine-configured")


def test_a_generation_before_the_one_in_use_is_refused_before_anything_is_declared() -> None:
    former = {"unlockKey": {"generation": 3, "key": "SWMKEY-1-x", "former": []}}
    with pytest.raises(Exception, match=r"unlockKeyGeneration: 2 was before, .* generation 3") as caught:
        run({**ON, "unlockKeyGeneration": 2}, former=former)
    assert "Remedy: set it to 3, or to 4 for a new key" in str(caught.value)
    assert "SWMKEY" not in str(caught.value)
    # Turned off, it does not matter.
    assert "swarm-started" in run({"autolock": False}, former=former).resources


def test_the_run_that_turns_it_off_still_unlocks_what_it_restarts() -> None:
    """It is turned off last: an engine that restarts before, for another setting, is locked once more."""
    former = {"unlockKey": {"generation": 1, "key": "SWMKEY-1-x", "former": []}}
    for below in ({}, {"deployUpTo": "hosts", "takeDown": ["application", "data", "swarm"]}):
        found = run({"autolock": False}, former=former, **below)
        assert "swarm-autolock-on" not in found.resources
        assert "galera-2-engine-unlocked" in found.depends_on["galera-2-engine-current"]
        for each in ("configured", "current"):
            assert "docker swarm unlock" in text(found, f"galera-2-engine-{each}")
    on, off = run(), run({"autolock": False}, former=former)
    for name in ("galera-2-engine-configured", "galera-2-engine-current", "swarm-galera-2-node"):
        assert text(off, name) == text(on, name)


# -- which keys are kept

PROVIDER = UnlockKeysProvider()


def kept(
    olds: dict[str, Any] | None, key: str, generation: int, oldest: int = 1, replaced: str = ""
) -> dict[str, Any]:
    """What is kept after a run, numbers as floats, as they come."""
    news = {"key": key, "replaced": replaced, "generation": float(generation), "oldest": float(oldest)}
    made = PROVIDER.create(news) if olds is None else PROVIDER.update("id", olds, news)
    return dict(made.outs or {})


def former(outs: dict[str, Any]) -> list[tuple[int, str]]:
    return [(each["generation"], each["key"]) for each in outs["former"]]


def test_a_rotated_key_stays_until_it_is_told_that_nobody_needs_it() -> None:
    first = kept(None, "K1", 1)
    assert former(first) == []
    second = kept(first, "K2", 2, replaced="K1")
    assert former(second) == [(1, "K1")]
    third = kept(second, "K3", 3, replaced="K2")
    assert former(third) == [(2, "K2"), (1, "K1")]
    assert former(kept(third, "K3", 3, oldest=2)) == [(2, "K2")]
    assert former(kept(third, "K3", 3, oldest=3)) == []


def test_a_key_that_no_run_has_noted_is_kept_with_the_others() -> None:
    """Rotated by a run that was killed, or by hand: managers that went down then know just that one."""
    assert former(kept(kept(None, "K1", 1), "K3", 2, replaced="K2")) == [(1, "K1"), (1, "K2")]
    # Turned off and on again, without another generation.
    assert former(kept(kept(None, "K1", 1), "K2", 1)) == [(1, "K1")]
    # A key that has not changed is no former one.
    assert former(kept(kept(None, "K1", 1), "K1", 1)) == []


def test_only_a_key_or_what_is_kept_is_a_change() -> None:
    olds = kept(None, "K1", 1)
    same = {key: olds[key] for key in ("key", "replaced", "generation", "oldest")}
    for change, found in (
        ({}, False),
        ({"replaced": "K0"}, False),
        ({"key": "K2"}, True),
        ({"generation": 2.0}, True),
        ({"oldest": 2.0}, True),
    ):
        assert PROVIDER.diff("id", olds, {**same, **change}).changes is found
