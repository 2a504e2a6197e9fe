"""Waiting that shows itself, ends, and stops when nobody asks any more."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from components.softlayer.errors import SoftLayerFailed, WaitedTooLong
from components.softlayer.progress import pause_after, pulumi_gone, wait_for


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_wait_ends_with_what_was_waited_for() -> None:
    clock, seen = Clock(), iter([(None, "not yet"), (None, "not yet"), ("there", "")])
    assert wait_for("x", lambda: next(seen), 60, "", clock=clock, sleep=clock.sleep) == "there"


def test_a_wait_that_takes_too_long_says_what_it_saw_last_and_what_to_do() -> None:
    clock = Clock()
    with pytest.raises(WaitedTooLong, match=r"galera-1.*last seen: POWER_ON.*call support"):
        wait_for("galera-1", lambda: (None, "POWER_ON"), 60, "call support", clock=clock, sleep=clock.sleep)
    assert 60 <= clock.now - 1000 <= 61


def test_a_wait_shows_itself_after_ten_seconds_and_then_every_thirty(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with pytest.raises(WaitedTooLong):
        wait_for("galera-1", lambda: (None, "POWER_ON"), 100, "", clock=clock, sleep=clock.sleep)
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split("(")[1].split()[0]) // 10 for line in lines] == [1, 4, 7]
    assert all("galera-1: POWER_ON" in line for line in lines)


def test_a_short_wait_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with pytest.raises(WaitedTooLong):
        wait_for("x", lambda: (None, ""), 9, "", clock=clock, sleep=clock.sleep)
    assert capsys.readouterr().out == ""


def test_polls_grow_rarer_but_never_rare() -> None:
    assert [pause_after(elapsed) for elapsed in (0, 2.5, 20, 60, 5000)] == [0.25, 0.25, 2.0, 5.0, 5.0]


def test_outside_of_a_provider_process_no_engine_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest", "-q"])
    assert not pulumi_gone()


def test_an_engine_that_listens_is_there_and_one_that_does_not_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        monkeypatch.setattr(sys, "argv", ["dynamic", f"127.0.0.1:{engine.getsockname()[1]}"])
        assert not pulumi_gone()
    assert pulumi_gone()


def test_a_wait_stops_when_the_run_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "interruption"
    monkeypatch.setenv("SWARM_GALERA_INTERRUPTION", str(note))
    clock, polls = Clock(), 0

    def look() -> tuple[None, str]:
        nonlocal polls
        polls += 1
        if polls == 3:
            note.touch()
        return None, "POWER_ON"

    with pytest.raises(SoftLayerFailed, match="galera-1: interrupted; run the same command again"):
        wait_for("galera-1", look, 60, "", clock=clock, sleep=clock.sleep)
    assert polls == 3


def test_a_wait_of_an_orphan_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        port = engine.getsockname()[1]
    monkeypatch.setattr(sys, "argv", ["dynamic", f"127.0.0.1:{port}"])
    clock = Clock()
    with pytest.raises(SoftLayerFailed, match="Pulumi has ended"):
        wait_for("x", lambda: (None, ""), 5000, "", clock=clock, sleep=clock.sleep)
    assert clock.now - 1000 < 20
