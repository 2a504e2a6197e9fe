"""What a preview tells of hosts on which nothing has to be done, while something else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components import first_bootstrap
from components.dynamic import is_unknown
from components.softlayer.guest_seen import Guest
from operations.around_run.resource_types import SERVICE
from tests.unit import program
from tests.unit.program import Recorded, run

pytestmark = pytest.mark.unit

TOKENS = {"cluster": "c", "node": "n1", "manager": "SWMTKN-m", "worker": "SWMTKN-w"}
STATE: dict[str, dict[str, Any]] = {
    **{f"galera-{n}-guest": {"reboots": 2.0} for n in (1, 2, 3)},
    "swarm-started": {"stdout": json.dumps(TOKENS)},
}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that must not be used, and an agent that holds the key."""
    monkeypatch.setenv("SL_USERNAME", "nobody")
    monkeypatch.setenv("SL_API_KEY", "marked-key")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")


def previewed(
    monkeypatch: pytest.MonkeyPatch, unknown: dict[str, str], settings: Any = None, **options: Any
) -> Recorded:
    """With these outputs (resource to key) unknown, as those of what is updated."""
    for name, key in unknown.items():
        monkeypatch.setitem(program.OTHERWISE, name, {key: None})
    return run(settings, preview=True, former={"contractVersion": 2}, **options)


def unsure(made: Recorded) -> set[str]:
    """Names of the commands and services of which something is not known: to Pulumi they change."""
    kinds = (*program.COMMANDS, SERVICE)
    return {name for name, one in made.resources.items() if one.typ in kinds and is_unknown(one.inputs)}


def test_a_server_that_is_changed_and_not_interrupted_has_its_host_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unknown = {f"galera-{n}-guest": "reboots" for n in (1, 2, 3)}
    assert "galera-3-engine-current" in unsure(previewed(monkeypatch, unknown))
    monkeypatch.setattr(program, "FORMER_OUTPUTS", STATE)
    made = previewed(monkeypatch, unknown)
    assert unsure(made) == set()
    assert made.resources["galera-3-engine-current"].inputs["triggers"][1] == 2
    # It was asked for by name: then it is another number afterwards.
    reloaded = {"servers": {"reloadToken": {"galera-3": "1"}}}
    guests = {"galera-3": Guest({"id": 3, "hostname": "galera-3"})}
    assert "galera-3-engine-current" in unsure(previewed(monkeypatch, unknown, reloaded, guests=guests))


def test_a_further_worker_has_no_other_host_join_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address comes to what the step that tells the tokens is given."""
    assert "swarm-galera-3-joined" in unsure(previewed(monkeypatch, {"swarm-started": "stdout"}))
    monkeypatch.setattr(program, "FORMER_OUTPUTS", STATE)
    made = previewed(monkeypatch, {"swarm-started": "stdout"})
    assert unsure(made) == set()
    assert "SWMTKN-w 10.144.12.13 c" in made.resources["swarm-galera-3-joined"].inputs["stdin"]
    assert "stdin" in made.secret_inputs["swarm-galera-3-joined"]


DB = [{"name": f"db{n}", "address": f"10.0.0.{n}", "user": "deploy"} for n in (1, 2, 3)]
KEY = "ssh-ed25519 AAAA"


def own(**second: str) -> dict[str, Any]:
    return {"servers": {"kind": "existing", "hosts": [DB[0], {**DB[1], **second}, DB[2]]}}


def test_a_host_of_one_s_own_that_is_told_something_is_still_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when a later version takes something else back at the end."""
    monkeypatch.setitem(program.OTHERWISE, "db2-ready", {"private_ip": None, "host_key": None})
    assert "db2-engine-configured" in unsure(previewed(monkeypatch, {}, own()))
    state = {"db2-ready": {"given": None, "host_key": KEY, "private_ip": "10.0.0.2"}}
    monkeypatch.setattr(program, "FORMER_OUTPUTS", state)
    made = previewed(monkeypatch, {}, own())
    assert unsure(made) == set()
    assert made.resources["db2-engine-configured"].inputs["connection"]["hostKey"] == KEY
    # Another key is given: it was installed anew, and what will be pinned is known once it was asked.
    assert "db2-engine-configured" in unsure(previewed(monkeypatch, {}, own(hostKey="ssh-ed25519 BBBB")))


LAST = {"contractVersion": 2, "ssh": {"manager": "any-manager"}}


def test_a_manager_that_is_made_anew_changes_nothing_that_any_manager_leads_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its address is not known yet. Without the way, all docker resources would be said to change."""

    def way(**options: Any) -> Any:
        return run(preview=True, **options).resources["docker-provider"].inputs["sshOpts"]

    new = {"public_ip": None, "private_ip": None, "host_key": None}
    monkeypatch.setitem(program.OTHERWISE, "galera-3-ready", new)
    # Nobody has written the files yet: the stack is new, or they are on another machine.
    assert is_unknown(way())
    assert is_unknown(way(former=LAST))
    monkeypatch.delitem(program.OTHERWISE, "galera-3-ready")
    written = way()
    assert json.loads(written) == ["-F", str(tmp_path / "swarm-galera/ssh/swarm-galera-test/config")]
    monkeypatch.setitem(program.OTHERWISE, "galera-3-ready", new)
    assert way(former=LAST) == written
    # The files of a stack that is gone lead nowhere, and nor do those whose managers are all new.
    assert is_unknown(way())
    for number in (1, 2):
        monkeypatch.setitem(program.OTHERWISE, f"galera-{number}-ready", new)
    assert is_unknown(way(former=LAST))


def test_a_stack_that_was_never_up_is_not_asked_for_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi's own command would break down over it."""
    monkeypatch.setattr(first_bootstrap, "READ_RESOURCES", "not to be called")
    assert "swarm-started" in run(preview=True).resources


def test_when_it_is_done_what_resources_say_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "FORMER_OUTPUTS", STATE)
    monkeypatch.setitem(program.OTHERWISE, "galera-3-guest", {"reboots": 3})
    assert run().resources["galera-3-engine-current"].inputs["triggers"][1] == 3
