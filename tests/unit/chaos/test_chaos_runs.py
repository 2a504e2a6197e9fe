"""A run is green only if everything was done, seen and found well; the cluster here is made up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chaos import breaks
from chaos.client import body
from chaos.fault import Struck, Whom, Writes
from chaos.journal import Said
from chaos.judge import Copy
from chaos.site import Site
from harness.lab_cluster import HOSTS, LabFailed
from tests.unit.chaos.stage import Cluster, Stage, held

pytestmark = pytest.mark.unit


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_a_run_in_which_all_is_well_is_green_and_tells_what_was_done(stage: Stage) -> None:
    result = stage.run(stage.fault("mine", whom=Whom.WRITER))
    assert (result.verdict, result.findings, result.lost) == ("green", [], 0)
    assert result.struck == {"mine": ("galera-2",)}
    assert (result.tried, result.acked) == (19, 19)
    assert result.pauses.keys() == {"writer", "vip", "node"}
    assert result.whole is not None
    order = [line for line in stage.site.done if "mine" in line or "verify" in line]
    assert order[:2] == ["galera-2: do mine", "galera-2: undo mine"]
    assert "verify --deep" in order[2]
    assert (stage.folder / "journal.jsonl").read_text().count("ack") == 19


def test_a_lost_row_is_red_and_counted(stage: Stage) -> None:
    key = ("writer@galera-1/1", 1, body("writer@galera-1/1", 1))
    stage.copies = lambda said: {
        host: Copy(held(said).rows - Counter([key]), *_rest(held(said))) for host in HOSTS
    }
    result = stage.run(stage.fault("mine"))
    assert result.verdict == "red"
    assert result.lost == 1
    assert result.findings[0].startswith("lost: galera-1: 1 acknowledged writes are not there")


def _rest(copy: Copy) -> Any:
    return copy.moves, copy.balances, copy.uuid, copy.epoch, copy.wanted


def test_nodes_that_could_not_be_read_are_red(stage: Stage) -> None:
    stage.copies = lambda said: {HOSTS[0]: held(said)}
    result = stage.run(stage.fault("mine"))
    assert result.verdict == "red"
    assert "cannot be judged: galera-2: nobody has read what it holds" in result.findings


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("do mine", "cannot be judged: mine did not happen"),
        ("undo mine", "not well again: mine could not be undone"),
        ("verify --deep", "not well again: `verify --deep`"),
        ("CREATE TABLE", "cannot be judged: LabFailed"),
    ],
)
def test_whatever_cannot_be_done_is_red(stage: Stage, part: str, words: str) -> None:
    stage.site.fails = (f": {part}" if part.endswith("mine") else part,)
    result = stage.run(stage.fault("mine"))
    assert result.verdict == "red"
    assert any(text.startswith(words) for text in result.findings), result.findings


def test_a_fault_that_fails_in_an_odd_way_is_red_and_undone_all_the_same(stage: Stage) -> None:
    def odd(_site: Site, _whom: Struck) -> None:
        raise KeyError("galera-9")

    result = stage.run(stage.fault("mine", does=odd))
    assert result.verdict == "red"
    assert result.findings[0] == "cannot be judged: LabFailed: KeyError: 'galera-9'"
    assert any("undo mine" in line for line in stage.site.done)


def test_a_cluster_that_does_not_come_back_is_red(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def whole(_self: Any, _limit: float, _goes_on: Any) -> str:
        calls.append(1)
        if len(calls) > 1:
            raise LabFailed("not all of them are Synced within 1 s")
        return HOSTS[1]

    monkeypatch.setattr(type(stage.site.cluster), "wait_whole", whole)
    result = stage.run(stage.fault("mine"))
    assert result.verdict == "red"
    assert result.findings[0] == "not well again: the cluster: not all of them are Synced within 1 s"
    assert result.whole is None


def test_writes_that_stop_for_too_long_are_red_where_they_must_go_on(stage: Stage) -> None:
    names = {writes: stage.fault(writes.value, writes=writes, limit=-1.0) for writes in Writes}
    assert stage.run(names[Writes.GO_ON]).verdict == "red"
    assert stage.run(names[Writes.MAY_STOP]).verdict == "green"
    # Two faults at once may take the majority.
    assert stage.run(*names.values()).verdict == "green"


def test_clients_that_do_not_write_again_are_red(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "wait_for", lambda _self, name, _since, _limit: name != "vip")
    result = stage.run(stage.fault("mine"))
    assert result.verdict == "red"
    assert "through the virtual IP again" in result.findings[0]


def test_of_a_pair_a_fault_that_was_kept_from_happening_makes_it_void(stage: Stage) -> None:
    one, other = stage.fault("one"), stage.fault("other")
    stage.site.fails = (": do other",)
    result = stage.run(one, other)
    assert result.verdict == "void"
    assert result.notes[0].startswith("other did not happen")


def test_hosts_come_back_before_anything_else_is_undone_and_what_failed_is_tried_again(
    stage: Stage,
) -> None:
    tries: list[str] = []

    def thaw(_site: Site, _whom: Struck) -> None:
        tries.append("thaw")
        if len(tries) < 4:
            raise LabFailed("the host is down")

    def on(_site: Site, _whom: Struck) -> None:
        tries.append("on")

    names = stage.fault("frozen", undone=thaw), stage.fault("killed", undone=on, first=True)
    result = stage.run(*names)
    assert tries == ["on", "thaw", "thaw"]
    assert result.verdict == "red"
    tries[:] = ["before"]
    assert stage.run(*names).verdict == "green"


def test_up_mends_once_what_it_must_mend(stage: Stage) -> None:
    names = stage.fault("one", mended_by_up=True), stage.fault("other", mended_by_up=True)
    stage.run(*names)
    ups = [line for line in stage.site.done if "operations up --yes" in line]
    assert len(ups) == 1
    stage.site.fails = ("operations up --yes",)
    assert stage.run(*names).findings[0].startswith("not well again: `up` at the end")


def test_what_is_put_in_order_afterwards_comes_after_the_comparison(stage: Stage) -> None:
    def clocks(site: Site, whom: Struck) -> None:
        site.sh(whom.host, "clocks")

    stage.run(stage.fault("mine", afterwards=clocks))
    assert "verify --deep" in stage.site.done[-3]
    assert stage.site.done[-2].endswith("clocks")
    assert stage.site.done[-1].startswith("galera-1: sql DROP TABLE")


def test_the_same_seed_strikes_the_same(stage: Stage) -> None:
    name = stage.fault("mine", whom=Whom.TWO)
    assert stage.run(name).struck == stage.run(name).struck


@pytest.mark.parametrize("name", breaks.BREAKS)
def test_each_break_spoils_something_before_it_is_read(stage: Stage, name: str) -> None:
    stage.run(stage.fault("mine"), broken=name)
    changed = [
        line for line in stage.site.done if any(w in line for w in ("DELETE", "UPDATE", "INSERT INTO"))
    ]
    changed = [line for line in changed if "chaos_account VALUES" not in line]
    assert len(changed) == 1
    alone = name in ("lose-row", "other-table")
    assert ("wsrep_on = OFF" in changed[0]) is alone


def test_nothing_can_be_broken_that_nobody_has_written(stage: Stage) -> None:
    with pytest.raises(LabFailed, match="nothing to break"):
        breaks.BREAKS["lose-row"](stage.site, Said())
