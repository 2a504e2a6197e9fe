"""Autolock's scripts: nothing is done twice, a key is in no command line, a restart ends unlocked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.host_scripts import autolock, engine, own, swarm
from components.host_scripts.engine import Places
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

FIRST, SECOND = "SWMKEY-1-first", "SWMKEY-1-second"
DOCKER = r"""
cd "$host"
unavailable() { echo "Error response from daemon: $1" >&2; exit 1; }
case "$*" in
  *AutoLockManagers*) [[ -e leaderless ]] || cat autolock ;;
  *LocalNodeState*) cat state ;;
  *DockerRootDir*) echo "$host/docker" ;;
  "info --format {{.Driver}}"*) echo "btrfs 20.10.24" ;;
  "swarm update --autolock="*)
    [[ ! -e leaderless ]] || unavailable "The swarm does not have a leader."
    echo "${2+${3#--autolock=}}" >autolock
    [[ $(<autolock) == false ]] || echo "provide the following key: $(<key)" ;;
  "swarm unlock-key"*)
    [[ ! -e leaderless && $(<state) == active ]] || unavailable "The swarm does not have a leader."
    [[ ! -e late ]] || { rm late; exit 0; }
    [[ $* != *--rotate* ]] || printf '%s' "${key:-SWMKEY-1-second}" >key
    [[ $(<autolock) == true ]] && cat key && echo ;;
  "swarm unlock")
    read -r given
    echo "$given" >>given
    [[ $(<state) == locked ]] || unavailable "swarm is not locked"
    [[ $given == "$(<key)" ]] || unavailable "swarm could not be unlocked: invalid key provided"
    if [[ -e alone ]]; then echo pending >state; exit 124; fi
    echo active >state ;;
  "ps -q"*) [[ ! -e containers ]] || echo c1 ;;
  "ps -a"*) [[ $(<state) != active ]] || echo "|Up 2 minutes (healthy)" ;;
  "inspect"*) echo true ;;
esac
"""

# `down` is there while the engine is.
SYSTEMCTL = r"""
case "$*" in
  *is-active*) [[ ! -e $host/down ]] ;;
  restart*|start*) rm -f "$host/down"; [[ $(<"$host/autolock") != true ]] || echo locked >"$host/state" ;;
esac
"""


def manager(folder: Path, locks: str = "true", state: str = "active") -> FakeHost:
    """A manager whose key is `FIRST`; its engine is locked after every start once autolock is on."""
    host = FakeHost(folder)
    host.program("docker", DOCKER)
    host.program("timeout", 'shift; exec "$@"')
    host.program("sleep")
    host.program("journalctl")
    host.program("systemctl", SYSTEMCTL)
    host.file("autolock", f"{locks}\n")
    host.file("state", f"{state}\n")
    host.file("key", FIRST)
    return host


def changes(ran: Ran) -> list[str]:
    looks = ("docker info", "docker swarm unlock-key -q", "docker ps", "docker inspect", "timeout", "sleep")
    return [call for call in ran.calls if not call.startswith(looks)]


def test_autolock_is_turned_on_once_and_its_key_reaches_no_output(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", locks="false")
    ran = host.run(autolock.on())
    assert (ran.code, changes(ran)) == (0, ["docker swarm update --autolock=true"]), ran.err
    assert FIRST not in ran.out + ran.err
    assert changes(host.run(autolock.on())) == []


def test_autolock_is_turned_off_once_and_not_where_there_is_no_swarm(tmp_path: Path) -> None:
    host = manager(tmp_path / "host")
    ran = host.run(autolock.off())
    assert (ran.code, changes(ran)) == (0, ["docker swarm update --autolock=false"]), ran.err
    assert changes(host.run(autolock.off())) == []
    assert changes(manager(tmp_path / "outside", state="inactive").run(autolock.off())) == []


@pytest.mark.parametrize("text", [autolock.on(), autolock.off()])
def test_a_swarm_without_a_leader_is_not_taken_for_one_that_is_as_wanted(tmp_path: Path, text: str) -> None:
    host = manager(tmp_path / "host")
    host.file("leaderless", "")
    ran = host.run(text)
    assert ran.code == 1
    assert "does not have a leader" in ran.err
    assert "Remedy: bring a majority of the managers back" in ran.err


def test_the_key_is_read_and_rotated_only_where_that_is_wanted(tmp_path: Path) -> None:
    host = manager(tmp_path / "host")
    host.file("late", "")  # for a moment there is none
    ran = host.run(autolock.key(rotate=False))
    assert json.loads(ran.out) == {"key": FIRST, "replaced": ""}
    assert changes(ran) == []
    ran = host.run(autolock.key(rotate=True))
    assert json.loads(ran.out) == {"key": SECOND, "replaced": FIRST}
    assert "a manager that is down needs the former one" in ran.err
    assert not {FIRST, SECOND} & set(ran.err.split())
    assert json.loads(host.run(autolock.key(rotate=False)).out)["key"] == SECOND


def test_a_swarm_that_tells_no_key_is_an_error_and_no_empty_key(tmp_path: Path) -> None:
    ran = manager(tmp_path / "host", locks="false").run(autolock.key(rotate=False))
    assert (ran.code, ran.out) == (1, "")
    assert "does not tell its unlock key" in ran.err


# -- unlocking


def test_a_locked_manager_is_unlocked_by_whichever_of_the_keys_fits(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", state="locked")
    ran = host.run(autolock.unlock("galera-1"), f"{SECOND}\n{FIRST}\n")
    assert (ran.code, ran.out) == (0, "active\n"), ran.err
    assert (tmp_path / "host/given").read_text().split() == [SECOND, FIRST]


def test_a_key_is_in_no_command_line_and_in_no_word_that_is_said(tmp_path: Path) -> None:
    for given in (f"{FIRST}\n", f"{SECOND}\n"):
        ran = manager(tmp_path / given[-7:-1], state="locked").run(autolock.unlock("galera-1"), given)
        assert "SWMKEY" not in "\n".join([*ran.calls, ran.out, ran.err])


def test_a_key_that_fits_but_waits_for_the_other_managers_counts(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", state="locked")
    host.file("alone", "")
    ran = host.run(autolock.unlock("galera-1"), f"{FIRST}\n{SECOND}\n")
    assert (ran.code, ran.out) == (0, "pending\n"), ran.err
    assert (tmp_path / "host/given").read_text().split() == [FIRST]


def test_without_a_key_that_fits_a_manager_stays_locked_and_that_is_said(tmp_path: Path) -> None:
    ran = manager(tmp_path / "host", state="locked").run(autolock.unlock("galera-1"), f"{SECOND}\n")
    assert ran.code == 1
    assert "none of the 1 unlock keys in the stack's state fits" in ran.err


@pytest.mark.parametrize("state", ["active", "inactive", "pending"])
def test_a_manager_that_is_not_locked_is_left_alone(tmp_path: Path, state: str) -> None:
    ran = manager(tmp_path / "host", state=state).run(autolock.unlock("galera-1"), f"{FIRST}\n")
    assert (ran.code, ran.out, changes(ran)) == (0, f"{state}\n", [])


# -- restarts by the program


def settled(host: FakeHost, values: str = "0\n") -> Ran:
    host.file("containers", "")
    places = Places(state=str(host.folder / "run"))
    host.file("run/engine.restart", "")
    text = engine.settle("galera-1", manager=True, ask=False, places=places, locks=True)
    return host.run(text, values)


def test_an_engine_is_asked_for_its_key_before_its_restart_and_is_unlocked_after_it(tmp_path: Path) -> None:
    host = manager(tmp_path / "host")
    ran = settled(host)
    assert ran.code == 0, ran.err
    assert "galera-1 is unlocked" in ran.err
    assert (tmp_path / "host/given").read_text().split() == [FIRST]
    order = [call for call in ran.calls if "unlock" in call or "systemctl re" in call]
    assert [call for call in order if not call.startswith("timeout")] == [
        "docker swarm unlock-key -q",
        "systemctl restart docker.service",
        "docker swarm unlock",
    ]
    assert "SWMKEY" not in "\n".join([*ran.calls, ran.out, ran.err])


def test_an_engine_that_could_not_be_asked_is_unlocked_by_the_keys_that_are_given(tmp_path: Path) -> None:
    host = manager(tmp_path / "host", state="error")
    ran = settled(host, f"1\n{SECOND}\n{FIRST}\n")
    assert "galera-1 is unlocked" in ran.err, ran.err
    assert (tmp_path / "host/given").read_text().split() == [SECOND, FIRST]


def test_a_restart_that_leaves_a_manager_locked_fails_at_once_with_the_remedy(tmp_path: Path) -> None:
    ran = settled(manager(tmp_path / "host", state="error"))
    assert ran.code == 1
    assert "galera-1 is locked since its engine has started" in ran.err
    assert "Remedy: python -m operations unlock, then repeat" in ran.err


def configured(host: FakeHost, *, locks: bool) -> Ran:
    places = Places(*(str(host.folder / name) for name in ("daemon.json", "dropin", "wants", "run")))
    host.program("ip")
    return host.run(engine.configure("galera-1", "{}", places, locks=locks))


def test_an_engine_without_containers_is_unlocked_after_the_restart_for_its_configuration(
    tmp_path: Path,
) -> None:
    ran = configured(manager(tmp_path / "host"), locks=True)
    assert ran.code == 0, ran.err
    assert "galera-1 is unlocked" in ran.err
    assert (tmp_path / "host/state").read_text() == "active\n"


def test_an_engine_that_was_down_stays_locked_there_and_the_next_step_gets_its_key(tmp_path: Path) -> None:
    host = manager(tmp_path / "host")
    host.file("down", "")
    ran = configured(host, locks=True)
    assert ran.code == 0, ran.err
    assert "galera-1 is locked since its engine has started" in ran.err
    # A question would have started it through its socket, before its configuration was in force.
    begun = ran.calls.index("systemctl start docker.service")
    assert not [call for call in ran.calls[:begun] if call.startswith("docker")]


def test_without_autolock_every_text_is_what_living_clusters_have_had() -> None:
    for text in (
        engine.settle("galera-1", manager=True),
        engine.configure("galera-1", "{}"),
        own.configure("galera-1", "{}"),
        swarm.describe_node("galera-1", "manager", {}),
    ):
        assert "unlock" not in text
        assert "key_is_locked" not in text
    assert "unlock" in own.configure("galera-1", "{}", locks=True)


# -- forming


@pytest.mark.parametrize(("key", "said"), [("Proc-Type: 4,ENCRYPTED", "yes"), ("", "")])
def test_whether_a_key_on_disk_is_locked_is_asked_of_the_disk(tmp_path: Path, key: str, said: str) -> None:
    host = manager(tmp_path / "host")
    host.file("docker/swarm/certificates/swarm-node.key", f"-----BEGIN EC PRIVATE KEY-----\n{key}\n")
    text = swarm.describe_node("galera-2", "manager", {}, autolock=True)
    function = text[text.index("key_is_locked()") : text.index("read -r node")]
    assert host.run(f"{function}\nkey_is_locked").out.strip() == said
    assert '$known != "$address:$port " || $(key_is_locked) == yes ]]' in text
