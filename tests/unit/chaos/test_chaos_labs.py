"""Runs are drawn from one queue by labs side by side; the command line asks for them and tells what came."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.own_lab import SETTINGS
from chaos import __main__ as command
from chaos import labs
from chaos.faults import FAULTS
from chaos.labs import Options, Worker
from chaos.plan import Run
from chaos.results import Result, Results
from harness.lab_cluster import STORES, LabCluster, LabFailed, with_store
from settings import parse

pytestmark = pytest.mark.unit


def result(run: Run, verdict: Any = "green") -> Result:
    return Result(run.id, run.faults, "lab", "abc", "now", verdict, findings=["lost: x"] * (verdict == "red"))


class Labs(Worker):
    """A worker whose lab is a word in a list; runs named `red` fail."""

    done: list[str]

    def _make(self) -> None:
        self.done.append("up")
        self._up = True

    def down(self) -> None:
        if self._own and self._up:
            self.done.append("down")
        self._up = False

    def _one(self, run: Run) -> Result:
        self.done.append(run.faults[0])
        return result(run, "red" if run.faults[0] == "red" else "green")


def worker(tmp_path: Path, *, own: bool = True, keep: bool = False, name: str = "chaos-1") -> Labs:
    made = Labs(name, Options(7, tmp_path, None, True, keep), lambda _text: None, own=own)
    made.done = []
    return made


def runs(*names: str) -> list[Run]:
    return [Run((name,), number) for number, name in enumerate(names, 1)]


def all_of(workers: Sequence[Labs], *names: str) -> list[str]:
    found: list[Result] = []
    assert labs.carry_out(runs(*names), workers, found.append) == []
    return sorted(one.faults[0] for one in found)


def test_a_lab_is_made_once_and_anew_after_a_run_that_failed(tmp_path: Path) -> None:
    one = worker(tmp_path)
    assert all_of([one], "a", "red", "b", "c") == ["a", "b", "c", "red"]
    assert one.done == ["up", "a", "red", "down", "up", "b", "c", "down"]


def test_a_failed_run_may_leave_its_lab_and_ends_its_work(tmp_path: Path) -> None:
    one = worker(tmp_path, keep=True)
    assert all_of([one], "a", "red", "b") == ["a", "red"]
    assert one.done == ["up", "a", "red"]


def test_somebody_elses_lab_is_neither_made_nor_taken_down(tmp_path: Path) -> None:
    one = worker(tmp_path, own=False)
    assert all_of([one], "a", "red", "b") == ["a", "b", "red"]
    assert one.done == ["a", "red", "b"]


def test_two_labs_share_the_runs(tmp_path: Path) -> None:
    both = [worker(tmp_path), worker(tmp_path, name="chaos-2")]
    names = [f"run {number}" for number in range(20)]
    assert all_of(both, *names) == sorted(names)
    carried = [what for one in both for what in one.done if what.startswith("run")]
    assert sorted(carried) == sorted(names)


def test_a_lab_that_cannot_be_made_is_told_and_the_other_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill, well = worker(tmp_path), worker(tmp_path, name="chaos-2")

    def fails() -> None:
        raise LabFailed("no memory")

    monkeypatch.setattr(ill, "_make", fails)
    found: list[Result] = []
    failed = labs.carry_out(runs("a", "b", "c", "d"), [ill, well], found.append)
    assert [str(error) for error in failed] in ([], ["no memory"])
    ill_only = labs.carry_out(runs("a"), [ill], found.append)
    assert [str(error) for error in ill_only] == ["no memory"]


def test_what_was_under_way_at_an_interruption_counts_for_nothing(tmp_path: Path) -> None:
    one = worker(tmp_path)
    stop, waiting = threading.Event(), queue.SimpleQueue[Run]()
    for run in runs("a", "b"):
        waiting.put(run)
    found: list[Result] = []

    def done(each: Result) -> None:
        found.append(each)

    def interrupted(run: Run) -> Result:
        stop.set()
        return result(run, "red")

    one._one = interrupted  # type: ignore[method-assign]
    one.work(waiting, done, stop)
    assert found == []
    assert one.done == ["up", "down"]


def test_an_interruption_ends_what_runs_and_takes_the_labs_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = worker(tmp_path)

    def lasts(run: Run) -> Result:
        one.done.append(run.id)
        with pytest.raises(LabFailed):
            one._at(f"{run.id}/log.txt").run(["sleep", "600"], 600)
        return result(run, "red")

    one._one = lasts  # type: ignore[method-assign]
    join = threading.Thread.join

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        join(thread, timeout)
        if timeout is not None and one._site is not None and one._site._running:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    found: list[Result] = []
    with pytest.raises(KeyboardInterrupt):
        labs.carry_out(runs("a", "b"), [one], found.append)
    assert found == []
    assert one.done == ["up", "a #1", "down"]


@pytest.mark.parametrize(
    ("wanted", "free", "names"),
    [(2, 20.0, labs.NAMES), (2, 12.0, labs.NAMES[:1]), (1, 20.0, labs.NAMES[:1]), (9, 99.0, labs.NAMES)],
)
def test_labs_go_side_by_side_where_there_is_memory(wanted: int, free: float, names: tuple[str, ...]) -> None:
    assert labs.names(wanted, free) == names


def test_no_memory_for_one_lab_is_an_error_with_a_remedy() -> None:
    with pytest.raises(LabFailed, match=r"needs 8 GiB of memory, and 3.0 GiB are free. Remedy: .*--lab NAME"):
        labs.names(2, 3.0)
    assert labs.free_memory("MemTotal: 1 kB\nMemAvailable:    3145728 kB\n") == 3.0


@pytest.mark.parametrize("store", STORES)
def test_the_stack_has_a_load_balancer_and_is_one_that_the_program_takes(store: str) -> None:
    text = labs.settings_text(SETTINGS.read_text(encoding="utf-8"), store)
    config = yaml.safe_load(text)["config"]
    own = {
        key.removeprefix("swarm-galera:"): value
        for key, value in config.items()
        if key.startswith("swarm-galera:")
    }
    settings = parse(own)
    assert settings.load_balancer is not None
    assert settings.discovery.kind == store


def test_a_store_or_a_file_that_there_is_not_is_no_stack() -> None:
    with pytest.raises(ValueError, match="must be one of etcd, consul"):
        with_store("", "zookeeper")
    with pytest.raises(ValueError, match="does not say its store"):
        with_store("config: {}", "consul")


def test_a_runs_folder_has_a_name_that_a_shell_takes() -> None:
    assert labs.file_name("network loses 5 % + all hosts go down, mixed #2") == (
        "network-loses-5-all-hosts-go-down-mixed-#2"
    )


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
    assert suite(*ALL) == 0
    assert len(suite.begun) == len(FAULTS) + 2
    assert len(suite.written) == 1
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


def test_a_labs_settings_are_those_of_its_stack() -> None:
    assert LabCluster("chaos-1").settings.name == "Pulumi.chaos-1.yaml"
