"""Stages: order, what is shown, and orderly ends."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.toolchain import stages
from lab.toolchain.__main__ import told_after_up
from lab.toolchain.errors import Interrupted, ToolchainError
from lab.toolchain.stages import Run, Stage, Step, Terminal, clock, table


def run(tmp_path: Path, *each: Stage) -> tuple[list[Step], str]:
    out = io.StringIO()
    steps = Run(each, tmp_path / "logs", Terminal(out)).go()
    return steps, out.getvalue()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def runs(*argv: str, show: bool = False) -> Callable[[Step], None]:
    def work(step: Step) -> None:
        step.run(argv, show=show)

    return work


def says(text: str) -> Callable[[Step], None]:
    return lambda step: step.result(text)


def test_a_stage_waits_for_those_it_needs(tmp_path: Path) -> None:
    order: list[str] = []

    def note(step: Step) -> None:
        order.append(step.name)

    run(tmp_path, Stage("a", note), Stage("b", note, ("a",)), Stage("c", note, ("b",)))
    assert order == ["a", "b", "c"]


def test_stages_that_do_not_need_one_another_run_side_by_side(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=30)

    def meet(_: Step) -> None:
        both.wait()

    steps, _ = run(tmp_path, Stage("a", meet), Stage("b", meet))
    assert {step.name for step in steps} == {"a", "b"}


def test_a_stage_cannot_need_one_that_comes_later(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs"):
        Run([Stage("a", says(""), ("b",)), Stage("b", says(""))], tmp_path)


def test_the_end_of_a_stage_is_shown_with_what_came_of_it(tmp_path: Path) -> None:
    _, shown = run(tmp_path, Stage("packages", says("14 installed")))
    assert "packages …" in shown
    assert "packages done in 0:00: 14 installed" in shown


def test_a_failed_command_is_explained_with_its_last_lines_and_its_log(tmp_path: Path) -> None:
    def work(step: Step) -> None:
        step.run(python("print('first'); print('no space left'); raise SystemExit(3)"))

    with pytest.raises(ToolchainError) as caught:
        run(tmp_path, Stage("root file system", work))
    message = str(caught.value)
    log = tmp_path / "logs" / "root-file-system.log"
    assert "root file system" in message
    assert "ended with code 3" in message
    assert "no space left" in message
    assert str(log) in message
    assert "first\n" in log.read_text(encoding="utf-8")


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="no-such-program cannot be started"):
        run(tmp_path, Stage("a", runs("no-such-program")))


def test_what_follows_a_failed_stage_is_not_started(tmp_path: Path) -> None:
    started: list[str] = []

    def fail(_: Step) -> None:
        raise ToolchainError("broken")

    with pytest.raises(ToolchainError, match="broken"):
        run(tmp_path, Stage("a", fail), Stage("b", lambda step: started.append(step.name), ("a",)))
    assert started == []


def test_a_failed_stage_ends_the_commands_of_the_others(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    ended = tmp_path / "ended"

    def long(step: Step) -> None:
        step.run(
            python(
                "import pathlib, signal, sys, time\n"
                f"ended = pathlib.Path({str(ended)!r})\n"
                "signal.signal(signal.SIGINT, lambda *_: (ended.touch(), sys.exit(1)))\n"
                f"pathlib.Path({str(ready)!r}).touch()\n"
                "time.sleep(60)"
            )
        )

    def fail(_: Step) -> None:
        while not ready.exists():
            threading.Event().wait(0.02)
        raise ToolchainError("broken")

    with pytest.raises(ToolchainError, match="broken"):
        run(tmp_path, Stage("long", long), Stage("fail", fail))
    assert ended.exists()


def test_an_interruption_lets_commands_end_orderly_and_starts_no_more(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    started: list[str] = []

    def long(step: Step) -> None:
        step.run(
            python(
                "import os, pathlib, signal, sys, time\n"
                f"ended = pathlib.Path({str(ended)!r})\n"
                "signal.signal(signal.SIGINT, lambda *_: (ended.touch(), sys.exit(1)))\n"
                f"os.kill({os.getpid()}, signal.SIGTERM)\n"
                "time.sleep(60)"
            )
        )

    with pytest.raises(Interrupted):
        run(tmp_path, Stage("long", long), Stage("next", lambda step: started.append(step.name), ("long",)))
    assert ended.exists()
    assert started == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_where_ctrl_c_is_ignored_commands_still_end_orderly(tmp_path: Path) -> None:
    """`make test` in the background of a script: its shell has it ignored, and so would they."""
    ready, ended = tmp_path / "ready", tmp_path / "ended"

    def waits(step: Step) -> None:
        step.run(
            python(
                "import pathlib, time\n"
                "try:\n"
                f"    pathlib.Path({str(ready)!r}).touch()\n"
                "    time.sleep(60)\n"
                "except KeyboardInterrupt:\n"
                f"    pathlib.Path({str(ended)!r}).touch()"
            )
        )

    def fail(_: Step) -> None:
        while not ready.exists():
            threading.Event().wait(0.02)
        raise ToolchainError("broken")

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(ToolchainError, match="broken"):
        run(tmp_path, Stage("waits", waits), Stage("fail", fail))
    assert ended.exists()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_spared_command_is_let_finish(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    finished = tmp_path / "finished"

    def spared(step: Step) -> None:
        code = (
            "import pathlib, time\n"
            f"pathlib.Path({str(ready)!r}).touch()\n"
            "time.sleep(1)\n"
            f"pathlib.Path({str(finished)!r}).touch()"
        )
        step.run(python(code), spare=True)

    def fail(_: Step) -> None:
        while not ready.exists():
            threading.Event().wait(0.02)
        raise ToolchainError("broken")

    with pytest.raises(ToolchainError, match="broken"):
        run(tmp_path, Stage("spared", spared), Stage("fail", fail))
    assert finished.exists()


def test_a_long_stage_shows_what_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "HEARTBEAT", 0.0)
    seen = threading.Event()

    class Watched(io.StringIO):
        def write(self, text: str) -> int:
            if "compiling fmt" in text:
                seen.set()
            return super().write(text)

    def long(step: Step) -> None:
        step.say("compiling fmt")
        assert seen.wait(30)

    Run([Stage("pulumi CLI", long)], tmp_path, Terminal(Watched())).go()


def test_shown_output_reaches_the_terminal_as_it_comes(tmp_path: Path) -> None:
    _, shown = run(tmp_path, Stage("up", runs(*python("print('+ created')"), show=True)))
    assert "\n+ created\n" in shown


def test_the_table_has_each_stage_and_the_whole() -> None:
    step = Step("venv", Path("/dev/null"), Terminal(io.StringIO()))
    step.seconds = 75
    assert table([step], 130) == ["  venv            1:15", "  all together    2:10"]
    assert clock(3599) == "59:59"


def test_after_up_one_is_told_what_to_type_for_this_lab_and_stack() -> None:
    assert "\n  make verify                     check" in told_after_up("dev", "dev")
    other = told_after_up("blue", "own")
    for line in ("make verify LAB=blue STACK=own ", "-m lab shell --name blue ", "make down LAB=blue "):
        assert f"{line} " in other
