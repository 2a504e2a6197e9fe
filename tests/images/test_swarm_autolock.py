"""Autolock against real engines: who is locked when, which key opens what, and that the last is not forced.

Owned here: what Docker does, on which the program rests. Left to others: the scripts' branches one by one
(tests/unit/components/host_scripts/test_autolock_script.py), the steps under Pulumi (tests/plugins).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.host_scripts import autolock, engine, swarm
from components.manager_choice import LEADS, LOCKED, PROBE, rank
from harness.image_containers import wait_for
from operations.errors import OperationsError
from operations.outage import last_one
from operations.outputs import Host
from operations.remote_hosts import Answer
from tests.images.swarm_engines import Engine, Engines
from tests.images.test_swarm_engines import bring_in, decide_twice, done, join, managers, refused, start
from tests.unit.operations.outage.test_survive import FOUND

# What scripts do with systemd. An engine that was killed is started again by its own loop.
SYSTEMCTL = r"""#!/bin/bash
engine() {
  local pid
  for pid in $(ip netns pids @namespace@); do [[ $(<"/proc/$pid/comm") != dockerd ]] || echo "$pid"; done
}
case $1 in
  stop | restart | kill)
    for pid in $(engine); do
      kill -KILL "$pid"
      while [[ -e /proc/$pid ]]; do sleep 0.1; done
    done ;;&
  start | restart) until docker version >/dev/null 2>&1; do sleep 0.2; done ;;
esac
"""


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engines]:
    monkeypatch.setattr(swarm, "HEARTBEAT", 2)
    made = Engines()
    try:
        yield made
    finally:
        for each in made.all:
            print(f"==== {each.name} at {each.address}\n{each.log[-3000:]}")  # shown when a test fails
        made.remove()


def state(host: Engine) -> str:
    return done(host.docker("info", "--format", "{{.Swarm.LocalNodeState}}"))


def three(engines: Engines) -> list[Engine]:
    """A swarm of three managers with autolock."""
    hosts = [engines.add(f"galera-{n}", 10 + n) for n in (1, 2, 3)]
    first, *others = hosts
    bring_in(first, start(*hosts), *others)
    turn_on(first)
    wait_for(lambda: all("ENCRYPTED" in on_disk(host) for host in hosts), "locked keys everywhere", 30)
    return hosts


def turn_on(host: Engine) -> None:
    ran = host.run(autolock.on())
    assert ran.returncode == 0, ran.stderr
    assert "SWMKEY" not in ran.stdout + ran.stderr


def key(host: Engine, *, rotate: bool = False) -> str:
    return str(json.loads(done(host.run(autolock.key(rotate=rotate))))["key"])


def restart(*hosts: Engine) -> None:
    for host in hosts:
        host.kill()
    for host in hosts:
        host.start()


def unlock(host: Engine, *keys: str) -> str:
    ran = host.run(autolock.unlock(host.name), "".join(f"{each}\n" for each in keys))
    assert "SWMKEY" not in ran.stdout + ran.stderr
    return done(ran)


def whole(seen_by: Engine) -> bool:
    """Whether all three managers vote."""
    votes = [line.partition("=")[2] for line in managers(seen_by)]
    return sorted(votes) == ["Leader", "Reachable", "Reachable"]


def with_systemd(host: Engine, text: str) -> str:
    """The script, on a host where `systemctl` reaches the engine."""
    program = host.folder / "bin/systemctl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(SYSTEMCTL.replace("@namespace@", host.namespace))
    program.chmod(0o755)
    return f"PATH={program.parent}:$PATH\n{text}"


def test_a_manager_is_locked_after_its_start_until_it_is_given_the_key(engines: Engines) -> None:
    first, second, third = three(engines)
    turn_on(first)  # twice is once
    its = key(first)
    assert its.startswith("SWMKEY-1-")
    assert key(third) == its
    restart(second)
    assert state(second) == "locked"
    assert rank(second.run(PROBE).stdout) == LOCKED
    # It is no stranger to a host that would join, and is not made to leave.
    facts = start(first, second, third)
    assert "is a manager of a swarm already" in refused(join(second, facts, first, second, third))
    another = its[:-1] + ("A" if its[-1] != "A" else "E")
    assert "none of the 1 unlock keys" in refused(second.run(autolock.unlock("galera-2"), f"{another}\n"))
    assert unlock(second, its) == "active"
    wait_for(lambda: whole(first), "all votes", 60)
    assert rank(second.run(PROBE).stdout) == LEADS
    # One that comes later has heard of the key when it is promoted.
    done(first.docker("node", "demote", "galera-3"))
    done(first.docker("node", "promote", "galera-3"))
    wait_for(lambda: whole(first), "all votes", 60)
    decide_twice(first)
    restart(third)
    assert state(third) == "locked"
    assert unlock(third, its) == "active"


def test_after_a_power_cut_of_all_hosts_the_key_is_answered_once_a_majority_has_it(engines: Engines) -> None:
    hosts = three(engines)
    its = key(hosts[0])
    restart(*hosts)
    assert [state(host) for host in hosts] == ["locked"] * 3
    # One after the other, the first one's answer would not come: so all at a time.
    with ThreadPoolExecutor() as side_by_side:
        assert set(side_by_side.map(lambda host: unlock(host, its), hosts)) <= {"active", "pending"}
    wait_for(lambda: whole(hosts[1]), "all votes", 90)
    assert key(hosts[2]) == its


def test_a_key_is_waited_for_no_longer_than_is_said_and_goes_on_by_itself(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autolock, "UNLOCKS_WITHIN", 5)
    first, second, third = three(engines)
    its = key(first)
    restart(first, second, third)
    assert unlock(first, its) != "locked"
    assert rank(first.run(PROBE).stdout) not in (LEADS, LOCKED)
    unlock(second, its)
    wait_for(lambda: rank(first.run(PROBE).stdout) == LEADS, "a leader of two", 90)


def test_who_was_down_while_the_key_was_rotated_needs_the_former_one_and_then_has_the_new_one(
    engines: Engines,
) -> None:
    first, _, third = three(engines)
    former = key(first)
    third.kill()
    rotated = json.loads(done(first.run(autolock.key(rotate=True))))
    assert (rotated["replaced"], rotated["key"] != former) == (former, True)
    third.start()
    assert "none of the 1 unlock keys" in refused(
        third.run(autolock.unlock("galera-3"), f"{rotated['key']}\n")
    )
    assert unlock(third, rotated["key"], former) == "active"
    wait_for(lambda: whole(first), "all votes", 60)
    on_disk = third.folder / "data/swarm/certificates/swarm-node.key"
    before = on_disk.read_text()
    restart(third)
    wait_for(lambda: state(third) == "locked", "the lock", 30)
    assert before == on_disk.read_text()
    assert unlock(third, rotated["key"]) == "active"


def test_an_engine_that_the_program_restarts_is_unlocked_when_that_is_done(engines: Engines) -> None:
    first, second, third = three(engines)
    text = engine.start("galera-2", locks=True, required=True)
    ran = second.run(f"{with_systemd(second, text)}\nstart_engine restart")
    assert ran.returncode == 0, ran.stderr
    assert "galera-2 is unlocked" in ran.stderr
    assert "SWMKEY" not in ran.stdout + ran.stderr
    assert state(second) == "active"
    # Without the setting's text, it would not be.
    plain = engine.start("galera-3", locks=False)
    done(third.run(f"{with_systemd(third, plain)}\nstart_engine restart"))
    assert state(third) == "locked"
    # One that is locked can't be asked for its key before its next restart: it comes from outside then.
    again = (
        f"{with_systemd(third, engine.start('galera-3', locks=True, required=True))}\nstart_engine restart"
    )
    assert "galera-3 is locked since its engine has started" in refused(third.run(again))
    ran = third.run(again, f"{key(first)}\n")
    assert "galera-3 is unlocked" in ran.stderr, ran.stderr
    wait_for(lambda: whole(first), "all votes", 60)


def test_turned_off_managers_come_back_by_themselves_and_turned_on_again_by_another_key(
    engines: Engines,
) -> None:
    first, second, _ = three(engines)
    its = key(first)
    done(first.run(autolock.off()))
    done(first.run(autolock.off()))
    assert "does not tell its unlock key" in refused(first.run(autolock.key(rotate=False)))
    wait_for(lambda: "ENCRYPTED" not in on_disk(second), "the key without its lock", 30)
    restart(second)
    wait_for(lambda: whole(first), "all votes", 60)
    turn_on(first)
    assert key(first) != its


def on_disk(host: Engine) -> str:
    return (host.folder / "data/swarm/certificates/swarm-node.key").read_text()


# -- the last one


class OneEngine:
    """Runs what `survive` runs, on one host."""

    def __init__(self, host: Engine) -> None:
        self.host = host

    async def run(self, _name: str, text: str, stdin: str = "") -> Answer:
        ran = self.host.run(text, stdin)
        return Answer(ran.stdout, ran.stderr if ran.returncode else "")


@pytest.mark.parametrize("before", ["active", "locked"])
def test_the_last_manager_is_not_forced_and_comes_back_whole_with_the_others(
    engines: Engines, before: str
) -> None:
    first, second, third = three(engines)
    its = key(first)
    second.kill()
    third.kill()
    if before == "locked":
        restart(first)
    wait_for(lambda: first.docker("node", "ls").returncode != 0, "the loss of the majority", 60)
    lost = ["galera-2", "galera-3"]
    with pytest.raises(OperationsError, match="galera-1 has a locked key"):
        asyncio.run(last_one.refuse_locked_key(OneEngine(first), "galera-1", lost, "dev"))
    survivor = Host("galera-1", "manager", first.address, first.address, "key")
    part = last_one.parts(FOUND, survivor, ["galera-2", "galera-3"])[0]
    assert "so it can't be forced" in done(first.run(part.text))
    second.start()
    unlocking = [second, *([first] if before == "locked" else [])]
    with ThreadPoolExecutor() as side_by_side:
        list(side_by_side.map(lambda host: unlock(host, its), unlocking))
    wait_for(lambda: rank(first.run(PROBE).stdout) == LEADS, "a leader of two", 90)


def test_docker_itself_forgets_the_swarm_of_a_locked_key(engines: Engines) -> None:
    """moby/moby#36852. Should this test fail one day, `survive` need not refuse."""
    first, second, third = three(engines)
    second.kill()
    third.kill()
    wait_for(lambda: first.docker("node", "ls").returncode != 0, "the loss of the majority", 60)
    ran = first.docker("swarm", "init", "--force-new-cluster", "--advertise-addr", first.address)
    assert "encrypted and needs to be unlocked" in ran.stderr
    assert state(first) == "inactive"
    restart(first)
    assert state(first) == "locked"


def test_nothing_of_the_key_is_in_an_engines_log(engines: Engines) -> None:
    first, second, _ = three(engines)
    its = key(first)
    key(first, rotate=True)
    restart(second)
    unlock(second, key(first), its)
    assert not [each.name for each in engines.all if "SWMKEY" in each.log]
    assert Path(first.folder / "data/swarm").exists()
