"""A tenth of the fault suite, with a fixed seed, on the tests' own cluster: `make chaos-data-test`.

Owned here: that the suite's way to judge a cluster finds nothing on one that is well, and what is broken on
purpose. Left to others: all faults and pairs (`make chaos-data`), the judgement's rules (tests/unit/chaos).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.whole_cluster import LAB, STORE, operations, run, sql

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

SEED = "14"


def chaos(results: Path, *words: str, **options: Any) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and what each run came to."""
    suite = (sys.executable, "-m", "chaos", "--lab", LAB, "--store", STORE, "--seed", SEED, "--without-deep")
    done = run(*suite, "--results", str(results), *words, check=False, **options)
    return done.returncode, json.loads(results.read_text())["runs"]


def test_no_acknowledged_write_is_lost_by_a_tenth_of_all_faults(tmp_path: Path) -> None:
    code, runs = chaos(tmp_path / "results.json", "--share", "10")
    assert [one["findings"] for one in runs if one["findings"]] == []
    assert code == 0
    assert len(runs) >= 4
    for one in runs:
        assert one["verdict"] == "green"
        assert one["acked"] > 100
        assert one["lost"] == 0
    # All tables of all nodes, once for all of them.
    operations("verify", "--deep")


def test_a_row_that_the_cluster_loses_is_found(tmp_path: Path) -> None:
    words = ("--only", "HAProxy killed", "--runs", "1", "--break", "lose-row-everywhere")
    code, (one,) = chaos(tmp_path / "broken.json", *words)
    assert code == 1
    assert one["verdict"] == "red"
    assert one["lost"] == 1
    sql("galera-1", "USE app; DROP TABLE chaos_row, chaos_move, chaos_account")
