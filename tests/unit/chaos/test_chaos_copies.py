"""What nodes answer is read whole, or not at all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chaos import copies
from chaos.judge import Copy, Move
from harness.lab_cluster import HOSTS, LabFailed
from tests.unit.chaos.fake_site import FakeSite

pytestmark = pytest.mark.unit

STATUS = {"self": {"uuid": "u", "epoch": "1-a"}, "cluster": {"uuid": "u", "epoch": "1-a"}}
ROW = "row\twriter@galera-1/1\t7\tabcd\n"
TEXT = f"{ROW}{ROW}move\ta/1\t1\t0\t12\t5\naccount\t0\t17\n"


def test_rows_moves_and_balances_are_told_apart_and_one_that_is_there_twice_counts_twice() -> None:
    assert copies.parse(TEXT, STATUS) == Copy(
        Counter({("writer@galera-1/1", 7, "abcd"): 2}),
        {("a/1", 1): [Move(0, 12, 5)]},
        {0: 17},
        "u",
        "1-a",
        "1-a",
    )


@pytest.mark.parametrize(
    "text", ["row\ta", "row\ta/1\tx\tb", "ERROR 1205 (HY000): Lock wait timeout exceeded"]
)
def test_half_an_answer_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"no answer to any question|invalid literal"):
        copies.parse(text, STATUS)


def test_a_node_that_cannot_be_read_has_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = FakeSite(tmp_path)

    def sql(_self: Any, host: str, _text: str, limit: float = 0) -> str:
        if host == HOSTS[0]:
            raise LabFailed("gone")
        return TEXT

    def status(_self: Any, host: str) -> Any:
        return {**STATUS, "cluster": None} if host == HOSTS[1] else json.loads(json.dumps(STATUS))

    monkeypatch.setattr(type(site.cluster), "sql", sql)
    monkeypatch.setattr(type(site.cluster), "status", status)
    monkeypatch.setattr(copies, "AGAIN", 0.0)
    assert copies.read(site).keys() == {HOSTS[2]}
    assert "what galera-1 holds could not be read: LabFailed: gone" in site.log.read_text()


def test_a_second_row_of_one_write_would_not_be_refused() -> None:
    """Else a write that came twice could not be seen."""
    assert "UNIQUE" not in copies.TABLES
    assert copies.TABLES.count("PRIMARY KEY") == 3


def test_a_node_that_answers_at_the_second_time_has_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, asked = FakeSite(tmp_path), list[str]()

    def status(_self: Any, host: str) -> Any:
        asked.append(host)
        return {**STATUS, "cluster": None} if asked.count(host) == 1 else STATUS

    monkeypatch.setattr(type(site.cluster), "sql", lambda _self, _host, _text, limit=0: TEXT)
    monkeypatch.setattr(type(site.cluster), "status", status)
    monkeypatch.setattr(copies, "AGAIN", 0.0)
    assert copies.read(site).keys() == {*HOSTS}
