"""What `bench.busy` makes of what it sees."""

from __future__ import annotations

import shlex

import pytest

from bench import busy, failover, report, sysbench
from bench.busy import Seen

pytestmark = pytest.mark.unit


def test_each_change_of_members_and_of_the_writer_counts() -> None:
    calm = [Seen(7, "galera-1")] * 3
    assert busy.changes(calm) == (0, 0)
    left_and_back = [Seen(7, "galera-1"), Seen(8, "galera-2"), Seen(9, "galera-2"), Seen(9, "galera-1")]
    assert busy.changes(left_and_back) == (2, 2)


def test_a_store_that_does_not_answer_is_no_other_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy, "sql", lambda *_: "wsrep_cluster_conf_id\t7")
    said: dict[str, str] = {}
    monkeypatch.setattr(failover, "status", lambda _: said)
    assert busy.seen("galera-1") == Seen(7, "galera-1")
    said["writer"] = "galera-2"
    assert busy.seen("galera-1") == Seen(7, "galera-2")


def test_the_machines_ticks_grow() -> None:
    worked, passed = busy.processors()
    assert 0 < worked <= passed


def test_hosts_compute_without_a_network() -> None:
    words = shlex.split(sysbench.computing(2, 60).replace("$(", "").replace(")", ""))
    assert words[words.index("--network") + 1] == "none"
    assert words[-4:] == ["cpu", "--threads=2", "--time=60", "run"]


def test_the_document_has_a_place_for_it() -> None:
    assert "| minutes |" in report.replaced(
        report.DOCUMENT.read_text(encoding="utf-8"), "busy", report.markdown(busy.HEADINGS, [])
    )
