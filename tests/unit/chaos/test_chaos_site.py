"""A site says what it has done, and does no more once it was told to end."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from chaos.site import Site
from harness.lab_cluster import HOSTS, LabCluster, LabFailed

pytestmark = pytest.mark.unit


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """On hosts that are this machine."""
    monkeypatch.setattr(LabCluster, "ssh", lambda _self, _host, command: ["sh", "-c", command])
    return Site(LabCluster("fake"), tmp_path / "run" / "log.txt")


def test_a_script_is_given_whole_and_is_in_the_log(site: Site) -> None:
    assert site.sh("galera-1", """echo "it's" '$HOME' | tr a-z A-Z""") == "IT'S $HOME\n"
    text = site.log.read_text()
    assert "on galera-1: echo" in text
    assert "IT'S" in text


def test_a_script_that_fails_or_does_not_end_is_an_error_with_its_words(site: Site) -> None:
    with pytest.raises(LabFailed, match="on galera-1: no such thing"):
        site.sh("galera-1", "echo no such thing >&2; exit 4")
    with pytest.raises(LabFailed, match="on galera-1: exit code 4"):
        site.sh("galera-1", "exit 4")
    with pytest.raises(LabFailed, match=r"no end within 0.2 s of: bash -c"):
        site.sh("galera-1", "sleep 60", limit=0.2)
    assert not site.holds("galera-1", "false")


def test_the_same_on_several_hosts_is_done_on_all_of_them_before_it_fails(site: Site, tmp_path: Path) -> None:
    with pytest.raises(LabFailed):
        site.everywhere(f"mktemp {tmp_path}/XXXXXX; exit 1")
    assert len(list(tmp_path.glob("??????"))) == len(HOSTS)


def test_what_goes_wrong_beside_the_others_is_not_lost_whatever_it_is(site: Site) -> None:
    done: list[str] = []

    def odd() -> None:
        raise KeyError("galera-9")

    with pytest.raises(LabFailed, match=r"KeyError: 'galera-9'"):
        site.at_once([odd, lambda: done.append("the other")])
    assert done == ["the other"]


def test_a_command_here_that_fails_or_does_not_end_is_an_error(site: Site) -> None:
    assert site.run([sys.executable, "-c", "print(1)"], 60) == "1\n"
    with pytest.raises(LabFailed, match=r"ended with 3: told"):
        site.run(["sh", "-c", "echo told; exit 3"], 60)
    with pytest.raises(LabFailed, match=r"no end within 0\.2 s"):
        site.run(["sh", "-c", "sleep 6000 & sleep 6000"], 0.2)  # whoever holds its output is ended, too


def test_nothing_is_done_any_more_once_it_was_told_to_end(site: Site) -> None:
    site.abort()
    for act in (
        lambda: site.sh("galera-1", "true"),
        lambda: site.run(["true"], 5),
        lambda: site.until("it", lambda: False, 60),
    ):
        with pytest.raises(LabFailed, match="interrupted"):
            act()


def test_the_leader_is_read_from_the_list_of_nodes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "galera-1 Reachable\ngalera-2 Leader\ngalera-3 Unreachable\n"
    monkeypatch.setattr(site, "sh", lambda *_: told)
    assert site.leader() == "galera-2"
    monkeypatch.setattr(site, "sh", lambda *_: told.replace("Leader", "Reachable"))
    with pytest.raises(LabFailed, match="no leader"):
        site.leader()


def test_hosts_are_off_when_the_account_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["Running", "Halted"])
    asked: list[Any] = []

    def finished(words: Any, _env: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(words)
        told = f'[{{"hostname": "galera-1", "power_state": "{next(said)}"}}]'.encode()
        return subprocess.CompletedProcess(words, 0, told, b"UserWarning: slcli warns of its own options")

    monkeypatch.setattr(LabCluster, "power", lambda _self, host, *how: asked.append((host, *how)))
    monkeypatch.setattr("harness.lab_cluster._finished", finished)
    monkeypatch.setattr("chaos.site.POLL", 0.01)
    site.off(["galera-1"], "--hard")
    assert asked[0] == ("galera-1", "power-off", "--hard")
    assert len(asked) == 3


@pytest.mark.parametrize("first_works", [True, False])
def test_the_swarm_is_asked_on_any_other_host(
    site: Site, monkeypatch: pytest.MonkeyPatch, first_works: bool
) -> None:
    asked: list[str] = []

    def sh(host: str, script: str, limit: float = 0) -> str:
        asked.append(host)
        if host == "galera-1" and not first_works:
            raise LabFailed("down")
        return ""

    monkeypatch.setattr(site, "sh", sh)
    site.by_any_other("galera-2", "docker node ls")
    assert asked == (["galera-1"] if first_works else ["galera-1", "galera-3"])


def test_a_lab_that_stays_is_healed_also_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LabCluster, "ssh", lambda _self, _host, command: ["sh", "-c", command])
    for stays in (True, False):
        site = Site(LabCluster("fake"), tmp_path / "log.txt", stays=stays)
        site.abort()
        with site.healing():
            if stays:
                assert site.sh("galera-1", "echo healed") == "healed\n"
            else:
                with pytest.raises(LabFailed, match="interrupted"):
                    site.sh("galera-1", "true")
        with pytest.raises(LabFailed, match="interrupted"):
            site.sh("galera-1", "true")


def test_several_hosts_lose_their_power_at_the_same_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(len(HOSTS), timeout=20)

    def power(_self: Any, _host: str, *_how: str) -> None:
        together.wait()  # breaks if one is waited for before the next

    monkeypatch.setattr(LabCluster, "power", power)
    site.power(HOSTS, "power-off", "--hard")


def test_what_pulumi_or_the_account_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.lab_cluster.PATIENCE", 0.2)
    cluster = LabCluster("fake")
    with pytest.raises(LabFailed, match=r"no end within 0\.2 s"):
        cluster.ask("outputs", ["sleep", "60"])
    monkeypatch.setattr(LabCluster, "guests", lambda _self: {"galera-1": "1"})
    monkeypatch.setattr(LabCluster, "in_lab", lambda _self, *_words: ["sleep", "60"])
    with pytest.raises(LabFailed, match=r"no end within 0\.2 s"):
        cluster.power("galera-1", "power-on")
    with pytest.raises(LabFailed, match="power-on of galera-2: the account has no such host"):
        cluster.power("galera-2", "power-on")


def test_the_wait_for_three_nodes_ends_with_an_interruption(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.lab_cluster.time.sleep", lambda _seconds: site.abort())
    with pytest.raises(LabFailed, match="interrupted"):
        site.cluster.wait_whole(60, site.goes_on)
