"""The command line: which runs it asks for, what it tells, what it goes on with."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chaos import __main__ as command
from chaos.faults import FAULTS
from chaos.plan import Run
from chaos.results import Result, Results
from harness.lab_cluster import LabFailed

pytestmark = pytest.mark.unit


def result(run: Run, verdict: Any = "green") -> Result:
    return Result(run.id, run.faults, "lab", "abc", "now", verdict, findings=["lost: x"] * (verdict == "red"))


def options(*words: str) -> Any:
    return command.parser().parse_args(words)


def test_the_whole_suite_is_each_fault_alone_and_pairs() -> None:
    found = command.wanted(options("--runs", "2", "--pairs", "5"), list(FAULTS.values()))
    assert len(found) == 2 * len(FAULTS) + 5
    more = command.wanted(options("--runs", "1", "--pairs", "0", "--ups"), list(FAULTS.values()))
    assert len(more) == len(FAULTS) + len(FAULTS) - 1


def test_one_fault_or_pair_can_be_asked_for_by_name() -> None:
    words = ("--only", "host killed", "--only", "disk slow + up killed", "--runs", "2")
    found = command.wanted(options(*words), list(FAULTS.values()))
    assert [run.faults for run in found] == [("host killed",), ("disk slow", "up killed")] * 2
    with pytest.raises(LabFailed, match="no fault disk sloww"):
        command.wanted(options("--only", "disk sloww"), list(FAULTS.values()))


class Suite:
    """The command with runs that are made up."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file, self.verdicts, self.begun = tmp_path / "results.json", {}, list[str]()  # type: ignore[var-annotated]
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.setattr(command, "carry_out", self._carry_out)
        monkeypatch.setattr(command, "names", lambda *_: ("chaos-1",))
        self.written: list[str] = []
        monkeypatch.setattr("chaos.results.write", lambda _f, _k, how, _s: self.written.append(how))

    def _carry_out(self, left: Sequence[Run], _workers: Any, done: Any) -> list[LabFailed]:
        for run in left:
            self.begun.append(run.id)
            done(result(run, self.verdicts.get(run.faults[0], "green")))
        return []

    def __call__(self, *words: str) -> int:
        return command.main([*words, "--results", str(self.file)])


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    return Suite(tmp_path, monkeypatch)


ALL = ("--runs", "1", "--pairs", "2")


def test_a_suite_that_is_well_ends_with_0_and_writes_the_document(suite: Suite) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    assert suite(*ALL) == 0
    assert len(suite.begun) == len(FAULTS) + 2
    assert len(suite.written) == 1
    assert signal.getsignal(signal.SIGTERM) is handler
    assert "seed 14" in suite.written[0]


def test_a_suite_that_was_interrupted_goes_on_with_what_is_left(suite: Suite) -> None:
    kept = Results(suite.file, command.SEED)
    planned = command.wanted(options(*ALL), list(FAULTS.values()))
    for run in planned[:10]:
        kept.add(result(run))
    assert suite(*ALL) == 0
    assert suite.begun == [run.id for run in planned[10:]]
    assert suite(*ALL, "--anew") == 0
    assert len(suite.begun) == len(planned) - 10 + len(planned)


@pytest.mark.parametrize("verdict", ["red", "void"])
def test_one_red_run_is_a_failure_and_a_void_one_is_not(suite: Suite, verdict: str) -> None:
    suite.verdicts = {"host killed": verdict}
    assert suite(*ALL) == (1 if verdict == "red" else 0)


def test_runs_that_were_not_carried_out_are_a_failure(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "carry_out", lambda *_: [LabFailed("no lab")])
    assert suite(*ALL) == 1


@pytest.mark.parametrize("part", [("--only", "host killed"), ("--share", "10"), ("--lab", "dev")])
def test_a_part_of_the_suite_does_not_write_the_document(suite: Suite, part: tuple[str, ...]) -> None:
    assert suite(*part, "--runs", "1", "--pairs", "0") == 0
    assert suite.written == []


def test_a_broken_promise_that_is_found_ends_red_and_so_does_one_that_is_not(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert suite("--only", "host killed", "--runs", "1") == 0
    words = ("--only", "host killed", "--runs", "1", "--break", "lose-row")
    suite.verdicts = {"host killed": "red"}
    assert suite(*words) == 1
    assert "was not found" not in capsys.readouterr().out
    suite.verdicts = {}
    assert suite(*words) == 1
    assert "--break lose-row was not found" in capsys.readouterr().out


def test_results_of_another_seed_are_explained(suite: Suite, capsys: pytest.CaptureFixture[str]) -> None:
    assert suite("--only", "host killed", "--runs", "1") == 0
    assert suite("--only", "host killed", "--runs", "1", "--seed", "15") == 1
    assert "--seed 14 goes on with them" in " ".join(capsys.readouterr().out.split())


def test_the_faults_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= len(FAULTS)


def test_what_was_broken_and_other_labs_have_results_of_their_own() -> None:
    words = [(), ("--lab", "dev"), ("--lab", "dev", "--break", "lose-row"), ("--store", "consul")]
    assert [command.kept_in(options(*each)).name for each in words] == [
        *("results.json", "lab-dev.json", "broken.json", "results-consul.json")
    ]


def test_what_makes_no_sense_with_a_store_is_not_run_with_it() -> None:
    assert {fault.name for fault in command.chosen("etcd")} == FAULTS.keys()
    assert FAULTS.keys() - {fault.name for fault in command.chosen("consul")} == {"store wiped"}


@pytest.mark.parametrize("way", [KeyboardInterrupt, SystemExit, LabFailed])
def test_what_was_run_is_in_the_document_whatever_has_ended_the_suite(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, way: type[BaseException]
) -> None:
    def carry_out(left: Sequence[Run], _workers: Any, done: Any) -> list[LabFailed]:
        for run in left[:3]:
            done(result(run))
        raise way("ended")

    monkeypatch.setattr(command, "carry_out", carry_out)
    if way is SystemExit:
        with pytest.raises(SystemExit):
            suite(*ALL)
    else:
        assert suite(*ALL) != 0
    assert f"3 of {len(FAULTS) + 2} runs so far" in suite.written[0]


def test_the_tables_can_be_written_without_running_anything(suite: Suite) -> None:
    assert suite("--only", "host killed", "--runs", "1") == 0
    assert suite.written == []
    suite.begun.clear()
    assert suite(*ALL, "--table") == 0
    assert suite.begun == []
    assert f"1 of {len(FAULTS) + 2} runs so far" in suite.written[0]


def test_a_fault_that_is_repeated_does_not_cost_the_results_of_others(suite: Suite) -> None:
    assert suite(*ALL) == 0
    suite.begun.clear()
    assert suite("--only", "host killed", "--runs", "1", "--anew") == 0
    assert suite.begun == ["host killed #1"]
    kept = Results(suite.file, command.SEED)
    assert len(kept.runs) == len(FAULTS) + 2
    assert [one.id for one in kept.former] == ["host killed #1"]


def test_runs_that_failed_can_be_repeated_and_only_they(suite: Suite) -> None:
    suite.verdicts = {"host killed": "red"}
    assert suite(*ALL) == 1
    suite.begun.clear()
    assert suite(*ALL) == 1, "without the word, a failure stays"
    assert suite.begun == []
    suite.verdicts = {}
    assert suite(*ALL, "--failed") == 0
    assert "host killed #1" in suite.begun
    assert all("host killed" in name for name in suite.begun)


def test_a_name_that_there_is_not_costs_no_results(suite: Suite) -> None:
    assert suite(*ALL) == 0
    assert suite("--only", "host kiled", "--anew") == 1
    assert len(Results(suite.file, command.SEED).runs) == len(FAULTS) + 2
