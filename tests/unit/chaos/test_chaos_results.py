"""Results are kept after each run, and told as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.report import ReportError
from chaos import results
from chaos.faults import FAULTS
from chaos.results import Result, Results, ResultsError
from harness.lab_cluster import STORES

pytestmark = pytest.mark.unit

ONE = Result(
    "host killed #1",
    ("host killed",),
    "chaos-1",
    "abc",
    "2026-11-30T05:00:00+00:00",
    "green",
    {"host killed": ["galera-2"]},
    tried=101,
    acked=100,
    pauses={"writer": 3.4, "vip": 9.0},
    whole=71.0,
    seconds=120.0,
)
TWO = replace(ONE, id="host killed #2", pauses={"writer": 5.0}, whole=93.4)
BAD = replace(
    ONE, id="host killed #3", verdict="red", findings=["lost: galera-1: 2 …"], lost=2, pauses={"writer": 2.0}
)
PAIR = replace(ONE, id="host killed + disk slow #1", faults=("host killed", "disk slow"))
VOID = replace(PAIR, id="disk slow + host killed #1", faults=("disk slow", "host killed"), verdict="void")
MARKED = "# R\n\n<!-- measured: chaos-data -->\nold\n<!-- end: chaos-data -->\n\nend\n"


def test_what_is_kept_is_read_again_and_a_run_that_is_repeated_replaces_itself(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "results.json"
    kept = Results(path, 7)
    kept.add(ONE)
    kept.add(TWO)
    again = Results(path, 7)
    assert list(again.runs) == [ONE.id, TWO.id]
    assert again.runs[ONE.id] == replace(ONE, findings=[], notes=[])
    again.add(replace(ONE, acked=1))
    assert Results(path, 7).runs[ONE.id].acked == 1
    assert list(path.parent.iterdir()) == [path]


def test_results_of_another_seed_are_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    Results(path, 7).add(ONE)
    with pytest.raises(ResultsError, match=r"seed 7, not 8.*--seed 7.*--anew"):
        Results(path, 8)


@pytest.mark.parametrize("text", ["", "[]", '{"seed": 7}', '{"seed": 7, "runs": [{"id": "x"}]}'])
def test_a_file_that_holds_no_results_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match="holds no results"):
        Results(path, 7)


def test_a_faults_line_has_its_runs_its_losses_and_its_pauses() -> None:
    told = results.singles_table([FAULTS["host killed"]], [ONE, TWO, BAD, PAIR])
    assert told == [
        [
            *("host killed", "the writer's host loses its power", "the writer's host", "go on, ≤ 30 s"),
            *("3", "300", "2", "3.4", "5.0", "4", "", "93", "1"),
        ]
    ]
    assert len(told[0]) == len(results.HEADINGS)


def test_the_first_write_afterwards_counts_where_writes_may_stop() -> None:
    one = replace(ONE, faults=("two hosts killed",), resumed=41.4)
    (line,) = results.singles_table([FAULTS["two hosts killed"]], [one, replace(one, resumed=12.0)])
    assert line[results.HEADINGS.index("first write afterwards, worst (s)")] == "41"


def test_a_fault_that_was_never_run_has_a_line_that_says_so() -> None:
    (line,) = results.singles_table([FAULTS["two hosts killed"]], [ONE])
    assert line[3:] == ["may stop", "0", "0", "0", "", "", "", "", "", "0"]


def test_each_pair_is_named_with_its_result() -> None:
    told = results.pairs_table([VOID, PAIR, ONE, replace(BAD, faults=("a", "b"), id="a + b #1")])
    assert [(line[0], line[-1]) for line in told] == [
        ("a + b", "red: lost: galera-1: 2 …"),
        ("disk slow + host killed", "void"),
        ("host killed + disk slow", "green"),
    ]
    assert len(told[0]) == len(results.PAIRS)


def test_the_verdict_names_every_run_that_failed() -> None:
    text = results.verdict([ONE, BAD, VOID])
    assert text.startswith("3 runs, 300 acknowledged writes, 2 of them lost; 1 runs failed, 1 pairs")
    assert "- host killed #3 (abc): lost: galera-1: 2 …" in text


def test_the_document_gets_the_tables_and_keeps_the_rest() -> None:
    text = results.written(MARKED, FAULTS.values(), [ONE, PAIR], "How")
    assert text.startswith("# R\n")
    assert text.endswith("\n\nend\n")
    assert "\nold\n" not in text
    for name in FAULTS:
        assert f"| {name} |" in text
    assert "| host killed + disk slow |" in text
    assert results.written(text, FAULTS.values(), [ONE, PAIR], "How") == text
    with pytest.raises(ReportError, match=r"docs/reference/reliability\.md does not hold"):
        results.written("# R\n", FAULTS.values(), [ONE], "How")


def test_the_document_has_room_for_the_section() -> None:
    text = results.DOCUMENT.read_text(encoding="utf-8")
    for store in STORES:
        assert results.written(text, FAULTS.values(), [ONE], "How", store) != text


def test_the_file_is_json_for_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    Results(path, 7).add(ONE)
    kept = json.loads(path.read_text())
    assert kept["seed"] == 7
    assert kept["runs"][0]["struck"] == {"host killed": ["galera-2"]}


def test_a_failure_that_was_repeated_is_still_told(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    kept = Results(path, 7)
    for one in (ONE, BAD):
        kept.add(one)
    kept.repeat([BAD.id])
    assert list(Results(path, 7).runs) == [ONE.id]
    kept.add(replace(BAD, verdict="green", findings=[], lost=0))
    again = Results(path, 7)
    text = results.verdict([*again.runs.values()], again.former)
    assert "0 of them lost; 0 runs failed" in text
    assert "Before they were repeated, 1 runs had failed:" in text
    assert "- host killed #3 (abc): lost: galera-1: 2 …" in text


def test_losses_that_nobody_could_count_are_not_none() -> None:
    blind = replace(
        ONE, verdict="red", findings=["cannot be judged: galera-1: nobody has read what it holds"]
    )
    (line,) = results.singles_table([FAULTS["host killed"]], [ONE, blind])
    assert line[results.HEADINGS.index("lost")] == "0 (unknown in 1)"
    assert "0 (unknown in 1) of them lost" in results.verdict([ONE, blind])


def test_what_a_program_said_does_not_break_the_table() -> None:
    bad = replace(PAIR, verdict="red", findings=["not well again: up: | a | table\n\n<b>" + "x" * 1000])
    text = results.written(MARKED, FAULTS.values(), [bad], "How")
    (line,) = (each for each in text.splitlines() if each.startswith("| host killed + disk slow |"))
    assert line.replace("\\|", "").count("|") == len(results.PAIRS) + 1
    assert "<b>" not in text
    assert max(len(each) for each in text.splitlines()) < 600
