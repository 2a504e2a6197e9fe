"""Autolock under the real `pulumi`: its key is a secret everywhere, rotates when told, and goes with it.

The manager is reached as any manager is; the engine is restarted, and is locked as a host's is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.host_scripts import autolock
from components.host_scripts.shell import script
from harness.image_containers import wait_for
from operations.unlock import keys as unlock_keys
from tests.plugins.stacks import KINDS, Stack, made
from tests.support.docker_engine import TestEngine

pytestmark = pytest.mark.plugins

PROGRAM = """
import pulumi

from components import autolock
from components.any_manager import AnyManager
from components.autolock import Autolock, AutolockArgs
from settings import Swarm

config = pulumi.Config()


class Ssh:
    private_key = config.require_secret("key")


class Server:
    hostname, address, user, port = "one", "127.0.0.1", "root", config.require_int("port")
    host_key = config.require("hostKey")


wanted = Swarm.model_validate(config.require_object("swarm"))
manager = AnyManager.of([Server()], Ssh, locks=True)
if wanted.autolock:
    made = Autolock("swarm-autolock", AutolockArgs(wanted, manager, []))
    pulumi.export(autolock.OUTPUT, made.as_output(wanted))
"""
UP = ("up", "--yes", "--skip-preview")


@pytest.fixture(params=KINDS)
def stack(swarm: TestEngine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    with made(swarm, tmp_path, PROGRAM, request.param) as found:
        found.environment["SWARM_GALERA_SSH"] = str(tmp_path / "ssh")
        yield found
    ran(swarm, autolock.off())


def ran(swarm: TestEngine, text: str, stdin: str = "") -> str:
    """A script on the manager."""
    argv = ["bash", "-c", script(text)]
    done = subprocess.run(
        argv, env=swarm.environment, input=stdin, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def up(stack: Stack, *words: str, fails: bool = False, **swarm: Any) -> str:
    stack.run("config", "set", "--path", "plugins:swarm.autolock", str(swarm.pop("autolock", True)).lower())
    for name, value in swarm.items():
        stack.run("config", "set", "--path", f"plugins:swarm.{name}", str(value))
    said = stack.run(*UP, *words, fails=fails)
    assert "SWMKEY" not in said
    return said


def told(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.outputs()["unlockKey"]
    return found


def in_force(swarm: TestEngine) -> tuple[bool, str]:
    """Whether the swarm has autolock, and its key."""
    spec = swarm.client.inspect_swarm()["Spec"]["EncryptionConfig"]
    return bool(spec["AutoLockManagers"]), swarm.client.get_unlock_key()["UnlockKey"]


def restart(swarm: TestEngine) -> None:
    """The engine, by its own process; its loop starts it again."""
    (pid,) = [each for each in below(swarm.process) if Path(f"/proc/{each}/comm").read_text() == "dockerd\n"]
    os.kill(pid, signal.SIGKILL)  # after an orderly end its loop does not start it again
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the engine's end", 60)
    wait_for(lambda: state(swarm) == "locked", "the engine, locked", 120)


def below(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *below(int(child))]
    return found


def state(swarm: TestEngine) -> str:
    done = subprocess.run(
        ["bash", "-c", autolock.STATE], env=swarm.environment, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def test_the_key_is_the_swarms_secret_in_the_state_and_a_second_run_changes_nothing(
    stack: Stack, swarm: TestEngine
) -> None:
    up(stack)
    on, key = in_force(swarm)
    assert on
    assert told(stack) == {"generation": 1, "key": key, "former": []}
    up(stack, "--expect-no-changes")
    assert "SWMKEY-1-" not in stack.run("stack", "export") + stack.run("stack", "output", "--json")
    backend = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    held = [file for file in backend.rglob("*") if file.is_file() and b"SWMKEY-1-" in file.read_bytes()]
    assert held == []


def test_another_generation_rotates_once_and_former_keys_stay_until_told(
    stack: Stack, swarm: TestEngine
) -> None:
    up(stack)
    _, first = in_force(swarm)
    up(stack, unlockKeyGeneration=2)
    _, second = in_force(swarm)
    assert second != first
    assert told(stack) == {"generation": 2, "key": second, "former": [{"generation": 1, "key": first}]}
    up(stack, "--expect-no-changes")
    # By hand, and once more by the setting: the one from by hand is kept, too.
    by_hand = ran(swarm, "docker swarm unlock-key --rotate -q")
    up(stack, unlockKeyGeneration=3)
    _, third = in_force(swarm)
    assert [each["key"] for each in told(stack)["former"]] == [second, by_hand, first]
    exported = json.loads(stack.run("stack", "export", "--show-secrets"))
    assert unlock_keys.of_state(exported) == [third, by_hand, second, first]
    up(stack, oldestUnlockKey=3)
    assert told(stack) == {"generation": 3, "key": third, "former": []}
    assert in_force(swarm) == (True, third)


def test_removed_it_is_turned_off_and_replaced_it_is_on_with_a_key_that_the_state_has(
    stack: Stack, swarm: TestEngine
) -> None:
    up(stack)
    _, first = in_force(swarm)
    up(stack, "--replace", "**swarm-autolock-on")
    on, second = in_force(swarm)
    assert (on, second != first) == (True, True)
    assert told(stack) == {"generation": 1, "key": second, "former": [{"generation": 1, "key": first}]}
    up(stack, autolock=False)
    assert in_force(swarm) == (False, "")
    assert "unlockKey" not in stack.outputs()


def test_a_locked_manager_ends_a_run_with_one_clear_line_and_its_key_is_in_the_state(
    stack: Stack, swarm: TestEngine
) -> None:
    up(stack)
    restart(swarm)
    try:
        said = up(stack, fails=True, unlockKeyGeneration=2)
        assert "the swarm can't be asked: one is locked (swarm.autolock)" in said
        assert "Remedy: `python -m operations unlock`" in said
    finally:
        keys = unlock_keys.of_state(json.loads(stack.run("stack", "export", "--show-secrets")))
        assert ran(swarm, autolock.unlock("one"), "".join(f"{key}\n" for key in keys)) == "active"
    up(stack)
    assert told(stack)["key"] == in_force(swarm)[1]
    assert told(stack)["former"] == [{"generation": 1, "key": keys[0]}]


def test_turned_off_its_keys_go_last_so_that_a_run_that_can_not_turn_it_off_keeps_them(
    stack: Stack, swarm: TestEngine
) -> None:
    up(stack)
    key = told(stack)["key"]
    restart(swarm)
    try:
        said = up(stack, fails=True, autolock=False)
        assert "the swarm can't be asked: one is locked (swarm.autolock)" in said
        kept = unlock_keys.of_state(json.loads(stack.run("stack", "export", "--show-secrets")))
    finally:
        assert ran(swarm, autolock.unlock("one"), f"{key}\n") == "active"
    assert kept == [key]
    assert in_force(swarm) == (True, key)
    said = up(stack, autolock=False)
    assert said.index(" swarm-autolock-off deleted") < said.index(" swarm-autolock-keys delet")
    assert in_force(swarm) == (False, "")
