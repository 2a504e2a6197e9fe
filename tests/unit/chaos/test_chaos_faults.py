"""Each kind of fault does something to those whom it strikes, and to nobody else, and can be taken back."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chaos import fault as fault_module
from chaos import faults, scripts
from chaos.fault import Facts, Fault, Struck, Whom, Writes, strike
from chaos.faults import FAULTS, load, ups
from harness.lab_cluster import HOSTS, LabFailed
from tests.unit.chaos.fake_site import FakeSite

pytestmark = pytest.mark.unit

FACTS = Facts(writer="galera-2", leader="galera-3")
BY_ITSELF = {
    *("mariadbd killed", "mariadbd killed again and again", "mariadbd killed everywhere", "orderly move"),
    "mariadbd killed in succession",
    *("container removed", "HAProxy killed", "data wiped", "donor killed", "joiner killed", "store wiped"),
    *("table locked", "huge transaction", "DDL under load", "up killed"),
}
"""What ends by itself, or is mended by the cluster: that is what is tested."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos.faults.networks.time.sleep", lambda _seconds: None)
    monkeypatch.setattr(ups, "EARLIEST", 0.1)
    monkeypatch.setattr(ups, "LATEST", 0.1)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSite:
    made = FakeSite(tmp_path)
    monkeypatch.setattr(type(made.cluster), "guests", lambda _cluster: {})
    return made


def struck(fault: Fault) -> Struck:
    return strike(fault, FACTS, random.Random(1))


def test_the_kinds_are_more_than_the_25_that_were_asked_for_and_each_has_one_name() -> None:
    assert len(FAULTS) >= 25
    assert sum(len(table) for table in faults.TABLES) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_happens_to_whom_it_strikes(fault: Fault, site: FakeSite) -> None:
    whom = struck(fault)
    fault.does(site, whom)
    assert site.done
    named = {host for host in HOSTS if any(host in line for line in site.done)}
    if fault.whom is not Whom.NOBODY:
        assert named >= {*whom.hosts}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_that_cannot_be_made_to_happen_says_so(fault: Fault, site: FakeSite) -> None:
    # A lock may end before its time, which the run cannot tell from one that was refused.
    if fault.name == "table locked":
        return
    # Killed again and again: it is the kill that must not fail, not the look.
    site.fails = ("galera-", "lab ", "$ ")
    with pytest.raises((LabFailed, AssertionError)):
        fault.does(site, struck(fault))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_that_does_not_end_by_itself_is_undone(fault: Fault, site: FakeSite) -> None:
    whom = struck(fault)
    fault.does(site, whom)
    before = list(site.done)
    fault.undone(site, whom)
    assert (site.done == before) is (fault.name in BY_ITSELF | {"host rebooted"})
    assert fault.undone is not fault_module.nothing or fault.name in BY_ITSELF


def test_who_loses_the_majority_may_stop_writing_and_no_single_host_does() -> None:
    down = {name for name, one in FAULTS.items() if one.takes_clients and one.whom in (Whom.ALL, Whom.TWO)}
    down.discard("network cut between two")  # the third host hears both
    assert all(FAULTS[name].writes is Writes.MAY_STOP for name in down)
    assert FAULTS["host killed"].writes is Writes.GO_ON
    goals = {name: one.goal for name, one in FAULTS.items() if one.goal is not None}
    assert goals["host killed"] == 4
    assert goals["mariadbd killed"] == 3
    assert goals["orderly move"] == 1


def test_a_fault_of_somebody_else_is_one_entry(site: FakeSite) -> None:
    """As another part of the project would add it."""

    def does(where: Any, whom: Struck) -> None:
        where.sh(whom.host, "make a backup fail")

    mine = Fault("backup killed", "the backup dies", Whom.READER, does)
    mine.does(site, struck(mine))
    mine.undone(site, struck(mine))
    assert site.done in [[f"{host}: make a backup fail"] for host in ("galera-1", "galera-3")]


def test_a_donor_is_killed_on_the_host_that_sends(site: FakeSite) -> None:
    whom = struck(FAULTS["donor killed"])
    FAULTS["donor killed"].does(site, whom)
    text = [line for line in site.done if "mariadb-backup" in line]
    assert {line.partition(":")[0] for line in text} == {*whom.others}
    assert any("rm -f" in line for line in site.done), "the other one is disarmed"
    site.done.clear()
    FAULTS["joiner killed"].does(site, whom)
    text = [line for line in site.done if "mariadb-backup" in line]
    assert {line.partition(":")[0] for line in text} == {whom.host}
    wiped = next(at for at, line in enumerate(site.done) if "-delete" in line)
    stopped, started = (
        next(at for at, line in enumerate(site.done) if f"galera={word} {whom.host}" in line)
        for word in ("false", "true")
    )
    assert stopped < wiped < started


def test_all_nodes_crash_in_quick_succession_in_a_drawn_order(site: FakeSite) -> None:
    one = FAULTS["mariadbd killed in succession"]
    one.does(site, struck(one))
    assert sorted(line.partition(":")[0] for line in site.done) == [*HOSTS]
    assert all("pkill -KILL -x mariadbd" in line for line in site.done)


def test_a_copy_that_nobody_has_seen_is_no_donor_killed(site: FakeSite) -> None:
    site.fails = ("mariadb-backup",)
    with pytest.raises(LabFailed, match=r"no copy to galera-\d was seen on"):
        FAULTS["donor killed"].does(site, struck(FAULTS["donor killed"]))
    assert any("--label-add galera=true" in line for line in site.done)


def test_all_go_down_in_two_ways_at_once(site: FakeSite) -> None:
    mixed = FAULTS["all hosts go down, mixed"]
    mixed.does(site, struck(mixed))
    assert sorted(line.partition(" ")[2] for line in site.done) == ["power-off --hard"] * 2 + [
        "power-off --soft"
    ]
    assert {line.partition(":")[0] for line in site.done} == {*HOSTS}


def test_an_up_that_ended_by_itself_was_not_killed(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    up = FAULTS[ups.NAME]
    site.ups_last = False
    monkeypatch.setattr(ups, "LATEST", 30.0)
    monkeypatch.setattr(ups, "EARLIEST", 30.0)
    monkeypatch.setattr(ups, "SHARE", 100.0)
    with pytest.raises(LabFailed, match="none of 3 runs of `up` lasted"):
        up.does(site, struck(up))
    assert sum("hosts.motd" in line for line in site.done) == ups.TRIES
    assert up.mended_by_up

    def crashes(*_: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(["sh", "-c", "exit 3"], stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(site, "start", crashes)
    with pytest.raises(LabFailed, match="ended with 3"):
        up.does(site, struck(up))


def test_an_up_is_killed_with_all_that_it_has_started(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    def lasts(_words: Any, extra: dict[str, str]) -> subprocess.Popen[str]:
        text = "setsid sleep 600 & echo $!; wait"
        one = subprocess.Popen(
            ["sh", "-c", text], stdout=subprocess.PIPE, text=True, env={**os.environ, **extra}
        )
        started.append(one)
        return one

    monkeypatch.setattr(site, "start", lasts)
    monkeypatch.setattr(ups, "EARLIEST", 0.3)
    monkeypatch.setattr(ups, "LATEST", 0.3)
    up = FAULTS[ups.NAME]
    up.does(site, struck(up))
    assert started[0].returncode == -9
    child = int(site.log.read_text().split("\n")[-4].split()[-1])
    assert not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text()


def test_a_huge_transaction_is_one_and_ddl_leaves_the_table_as_it_was(site: FakeSite) -> None:
    FAULTS["huge transaction"].does(site, struck(FAULTS["huge transaction"]))
    assert site.done[-1].endswith(f"FROM seq_1_to_{load.ROWS}")
    site.done.clear()
    FAULTS["DDL under load"].does(site, struck(FAULTS["DDL under load"]))
    words = " ".join(site.done)
    assert words.count("ADD COLUMN later") == words.count("DROP COLUMN later") == 1
    assert words.rindex("MODIFY body VARCHAR(20) NOT NULL") > words.rindex("MODIFY body CHAR(20) NOT NULL")


def test_a_lock_that_nobody_had_is_no_table_locked(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "says", lambda _script: "")
    with pytest.raises(LabFailed, match="could not be locked on galera-2"):
        FAULTS["table locked"].does(site, struck(FAULTS["table locked"]))


def test_a_host_whose_clock_has_not_gone_on_was_not_off_for_an_hour(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = FAULTS["host off for an hour"]
    whom = struck(one)
    one.does(site, whom)
    for shown in ("1000\n", ""):
        monkeypatch.setattr(site, "says", lambda _script, shown=shown: shown)
        with pytest.raises(LabFailed, match="its clock has not gone on"):
            one.undone(site, whom)


def test_a_host_that_reboots_may_be_gone_between_two_looks(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def sh(host: str, script: str, _limit: float = 0) -> str:
        looks.append(host)
        if len(looks) == 2:
            raise LabFailed("connection reset")
        return f"boot {len(looks)}"

    def until(_what: str, holds: Any, _limit: float) -> None:
        while not holds():
            assert len(looks) < 9

    monkeypatch.setattr(site, "sh", sh)
    monkeypatch.setattr(site, "until", until)
    one = FAULTS["host rebooted"]
    whom = Struck(("galera-1",), FACTS, random.Random(1), {"boot": "boot 1"})
    looks.append("before")
    one.undone(site, whom)
    assert len(looks) == 3


def test_what_is_killed_again_has_come_back_before(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was just killed is seen for a moment longer: it is not killed twice."""
    alive, killed = iter(["7", "7", "7", "7", "", "8", "8", "", "9", "9"]), list[str]()

    def sh(host: str, script: str, _limit: float = 0) -> str:
        if "pkill" in script:
            killed.append(host)
            return ""
        return f"{next(alive)}\n"

    def until(_what: str, holds: Any, _limit: float) -> None:
        while not holds():
            pass

    monkeypatch.setattr(site, "sh", sh)
    monkeypatch.setattr(site, "until", until)
    one = FAULTS["mariadbd killed again and again"]
    one.does(site, struck(one))
    assert len(killed) == 3
    assert not list(alive)


def test_a_swarm_that_still_has_a_leader_is_not_without_quorum(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "holds", lambda _host, _test: True)
    with pytest.raises(AssertionError):  # of the wait, which has no limit here
        FAULTS["swarm without quorum"].does(site, struck(FAULTS["swarm without quorum"]))


def test_nobody_is_killed_in_a_later_copy(site: FakeSite) -> None:
    """A look that was broken off here may go on over there."""
    site.fails = ("mariadb-backup",)
    whom = struck(FAULTS["donor killed"])
    with pytest.raises(LabFailed):
        FAULTS["donor killed"].does(site, whom)
    assert {host for host in HOSTS if f"{host}: {scripts.disarmed()}" in site.done} == {*whom.others}
