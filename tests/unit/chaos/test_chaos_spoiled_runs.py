"""Whatever spoils a run, it is told, the site is put in order, and nothing is taken for well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos import one_run
from chaos.fault import Struck
from chaos.faults import hosts
from chaos.journal import Said
from chaos.judge import Copy
from chaos.site import Site
from harness.lab_cluster import LabFailed
from tests.unit.chaos.stage import Cluster, Stage

pytestmark = pytest.mark.unit


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_a_comparison_that_holds_a_little_later_is_well(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer, say, still takes a node for one that is away."""
    monkeypatch.setattr(one_run, "COMPARED", 60.0)
    verified: list[str] = []

    def run(words: Any, _limit: float) -> str:
        if "--deep" in words:
            verified.append("deep")
            if len(verified) < 3:
                raise LabFailed("galera-2 is no server of galera-1's load balancer")
        return ""

    monkeypatch.setattr(stage.site, "run", run)
    assert stage.run(stage.fault("mine")).verdict == "green"
    assert len(verified) == 3


def test_what_is_put_in_order_afterwards_is_so_also_when_the_run_has_failed(stage: Stage) -> None:
    def clocks(site: Site, whom: Struck) -> None:
        site.sh(whom.host, "clocks")

    def unreadable(_said: Said) -> dict[str, Copy]:
        raise OSError("no room for what was read")

    stage.copies = unreadable
    result = stage.run(stage.fault("mine", afterwards=clocks))
    assert result.findings == ["cannot be judged: OSError: no room for what was read"]
    assert any(line.endswith("clocks") for line in stage.site.done)
    stage.site.fails = ("clocks",)
    assert any("after mine" in text for text in stage.run("mine").findings)


def test_an_odd_failure_to_undo_one_fault_does_not_keep_the_other(stage: Stage) -> None:
    def odd(_site: Site, _whom: Struck) -> None:
        raise KeyError("galera-9")

    result = stage.run(stage.fault("one", undone=odd, first=True), stage.fault("other"))
    assert any("undo other" in line for line in stage.site.done)
    assert "not well again: one could not be undone: 'galera-9'" in result.findings


def test_a_client_that_may_still_write_leaves_nothing_to_judge(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_self: Any) -> None:
        raise LabFailed("on galera-1: exit code 1")

    monkeypatch.setattr(Cluster, "stop", stop)
    result = stage.run(stage.fault("mine"))
    assert result.verdict == "red"
    assert "cannot be judged: the clients' end: on galera-1: exit code 1" in result.findings
    assert "writer" in result.pauses


@pytest.mark.parametrize("stays", [True, False])
def test_an_interrupted_run_leaves_a_lab_that_stays_as_it_was(stage: Stage, stays: bool) -> None:
    """One that is the suite's own is taken down instead."""
    stage.site.stays = stays
    undone: list[str] = []

    def does(site: Site, _whom: Struck) -> None:
        site.abort()

    def undo(site: Site, _whom: Struck) -> None:
        site.goes_on()
        undone.append("undone")

    result = stage.run(stage.fault("mine", does=does, undone=undo, mended_by_up=True))
    assert undone == ["undone"] * stays
    assert result.verdict == "red"
    assert not any("operations up" in line for line in stage.site.done)


def test_two_of_a_pair_draw_each_by_itself(stage: Stage) -> None:
    """They draw at the same time: what one draws must not depend on how often the other has drawn before."""
    drawn: list[float] = []

    def one(draws: int) -> Any:
        def does(_site: Site, whom: Struck) -> None:
            for _ in range(draws):
                whom.draw.random()

        return does

    def other(_site: Site, whom: Struck) -> None:
        drawn.append(whom.draw.random())

    stage.fault("other", does=other)
    for draws in (0, 5):
        stage.run(stage.fault("one", does=one(draws)), "other")
    assert drawn[0] == drawn[1]


def test_hosts_that_may_have_been_unplugged_instead_of_shut_down_are_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos.one_run.time.sleep", lambda _seconds: None)
    assert stage.run("all hosts shut down").notes == []
    monkeypatch.setattr(hosts, "SHUTDOWN", -1.0)
    for name in ("all hosts shut down", "all hosts go down, mixed"):
        (note,) = stage.run(name).notes
        assert note.startswith(f"{name}: galera-")
        assert "may have pulled the plug" in note
