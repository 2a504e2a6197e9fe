"""Runs are drawn from one queue by labs side by side, each made for them, and anew after a failure."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.own_lab import SETTINGS
from chaos import labs
from chaos.labs import Options, Worker
from chaos.plan import Run
from chaos.results import Result
from chaos.site import Site
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


def test_a_labs_settings_are_those_of_its_stack() -> None:
    assert LabCluster("chaos-1").settings.name == "Pulumi.chaos-1.yaml"


def test_a_lab_is_tried_to_be_made_twice_and_its_run_is_left_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, tries = worker(tmp_path), list[int]()

    def fails(times: int) -> None:
        tries.append(1)
        if len(tries) <= times:
            raise LabFailed("no memory")
        one._up = True

    monkeypatch.setattr(one, "_make", lambda: fails(1))
    assert all_of([one], "a") == ["a"]
    tries.clear()
    monkeypatch.setattr(one, "_make", lambda: fails(2))
    waiting = queue.SimpleQueue[Run]()
    waiting.put(Run(("a",), 1))
    with pytest.raises(LabFailed, match="no memory"):
        one.work(waiting, lambda _result: None, threading.Event())
    assert waiting.get_nowait() == runs("a")[0]
    one.abort()
    tries.clear()
    with pytest.raises(LabFailed):
        one._made()
    assert len(tries) == 1, "whoever interrupts does not wait for a second try"


def test_what_goes_wrong_in_a_labs_thread_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = worker(tmp_path)

    def odd(_run: Run) -> Result:
        raise KeyError("galera-9")

    monkeypatch.setattr(one, "_one", odd)
    (failed,) = labs.carry_out(runs("a"), [one], lambda _result: None)
    assert str(failed) == "chaos-1: KeyError: 'galera-9'"
    assert one.done == ["up", "down"]


def test_what_an_earlier_try_of_a_run_has_left_stays(tmp_path: Path) -> None:
    folder = tmp_path / "host-killed-#1"
    labs.set_aside(folder)
    for number in (1, 2):
        folder.mkdir()
        (folder / "journal.jsonl").write_text(f"try {number}")
        labs.set_aside(folder)
        assert not folder.exists()
        assert (tmp_path / f"host-killed-#1~{number}" / "journal.jsonl").read_text() == f"try {number}"


def test_only_somebody_elses_lab_stays_and_only_its_end_is_done_after_an_interruption(tmp_path: Path) -> None:
    for own in (True, False):
        one = worker(tmp_path, own=own)
        assert one._at("a/log.txt").stays is not own
        one.abort()
        with pytest.raises(LabFailed, match="interrupted"):
            one._at("b/log.txt").run(["true"], 60)
        one._at(labs.DOWN).run(["true"], 60)


def test_a_lab_that_cannot_be_taken_down_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hosts would keep the memory that the next one needs."""
    said: list[str] = []

    def fails(_self: Site, _words: Sequence[str], _limit: float) -> str:
        raise LabFailed("`make up` is at work on it")

    monkeypatch.setattr(Site, "run", fails)
    Worker("chaos-none", Options(7, tmp_path, None, True, False), said.append, own=True).down()
    assert said[-1] == "chaos-none: is still there, with its hosts: `make up` is at work on it"
