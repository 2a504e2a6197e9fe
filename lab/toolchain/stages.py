"""Runs the stages of a job: side by side where they do not need one another, and so that one sees it.

Owned here: order, progress lines, log files, the table of times, orderly ends on failure and Ctrl-C. Left to
others: what the stages do (`jobs.py` and the modules it names).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from lab.toolchain.errors import Interrupted, ToolchainError

HEARTBEAT = 10.0  # seconds without a line on the terminal, after which one is printed
PATIENCE = 20.0  # seconds a process gets to end after SIGINT because another stage failed
TAIL = 15  # last lines of a log shown with an error
WIDTH = 90  # characters of a sub-step's line shown as progress


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Terminal:
    """The one place that prints; lines of stages that run side by side do not mix."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self.last = time.monotonic()

    def line(self, text: str) -> None:
        """Print one line as it is."""
        with self._lock:
            self._out.write(text + "\n")
            self._out.flush()
            self.last = time.monotonic()

    def event(self, text: str) -> None:
        """Print one line behind the time since the job's start."""
        self.line(f"{clock(time.monotonic() - self._start):>6}  {text}")


class Step:
    """What a running stage has at hand: commands with their log, and a word on what is going on."""

    def __init__(self, name: str, log: Path, terminal: Terminal) -> None:
        self.name = name
        self.log = log
        self.activity = ""
        self.note = ""
        self.started = time.monotonic()
        self.seconds = 0.0
        self._terminal = terminal
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._spared = False
        self._stopping = False

    def say(self, text: str) -> None:
        """What is going on now; shown with the next progress line."""
        self.activity = text
        if self._stopping:
            raise Interrupted

    def result(self, text: str) -> None:
        """What came of it, shown when the stage has ended."""
        self.note = text

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        show: bool = False,
        spare: bool = False,
        accept: frozenset[int] = frozenset({0}),
    ) -> int:
        """Run one command; its output goes to the stage's log, with `show` also to the terminal.

        `env` is added to the present environment. `spare`: not interrupted by Ctrl-C or another stage's
        failure, because half of it is worse than waiting for its end. Raises ToolchainError for an exit code
        that is not in `accept`, with the last lines of the output and the log's name.
        """
        words = [str(word) for word in argv]
        with self._lock:
            if self._stopping:
                raise Interrupted
            try:
                process = subprocess.Popen(
                    words,
                    cwd=cwd,
                    env={**os.environ, **(env or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,  # Ctrl-C reaches it once: from us
                )
            except OSError as error:
                raise ToolchainError(f"{self.name}: {words[0]} cannot be started: {error.strerror}") from None
            self._process, self._spared = process, spare
        tail = self._follow(process, words, show)
        code = process.wait()
        with self._lock:
            self._process = None
            stopping = self._stopping
        if code in accept:
            return code
        if stopping:
            raise Interrupted
        shown = "" if show else "".join(f"\n    {line}" for line in tail)
        command = " ".join([Path(words[0]).name, *words[1:]])
        if len(command) > WIDTH:
            command = command[: WIDTH - 1] + "…"
        raise ToolchainError(
            f"{self.name}: `{command}` ended with code {code}; its output is in {self.log}{shown}"
        )

    def _follow(self, process: subprocess.Popen[str], words: list[str], show: bool) -> list[str]:
        tail: list[str] = []
        assert process.stdout is not None
        with process.stdout as said, self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n")
            for raw in said:
                line = raw.rstrip()
                log.write(line + "\n")
                log.flush()
                if not line:
                    continue
                tail = [*tail[-(TAIL - 1) :], line]
                self.activity = line.strip()
                if show:
                    self._terminal.line(line)
        return tail

    def stop(self, number: int = signal.SIGINT, *, also_spared: bool = False) -> None:
        """Ask the stage to end: the running command gets the signal, a further one is not started."""
        with self._lock:
            self._stopping = True
            if self._process is not None and (also_spared or not self._spared):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)


@dataclass(frozen=True)
class Stage:
    """One stage: its name, what it does, and the names of those that must have ended before."""

    name: str
    work: Callable[[Step], None]
    needs: tuple[str, ...] = ()


@dataclass
class Run:
    """A job under way."""

    stages: Sequence[Stage]
    logs: Path
    terminal: Terminal = field(default_factory=Terminal)

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        for index, stage in enumerate(self.stages):
            missing = set(stage.needs) - set(names[:index])
            if missing:
                raise ValueError(f"stage {stage.name} needs {sorted(missing)}, not listed before it")
        self._ended: queue.Queue[tuple[Step, BaseException | None]] = queue.Queue()
        self._running: dict[str, Step] = {}
        self._done: list[Step] = []
        self._begin = time.monotonic()

    def go(self) -> list[Step]:
        """Run all stages; return them in the order of their ends. Raises the first failure or Interrupted."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.logs.glob("*.log"):
            old.unlink()
        waiting = list(self.stages)
        previous: dict[int, Any] = {
            number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
        }
        # In the background of a script (`make test &`) SIGINT is ignored, also by all commands that are
        # begun; they are ended with it. A handler, unlike that, is not handed down.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            previous[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            while waiting or self._running:
                ended = {step.name for step in self._done}
                for stage in [stage for stage in waiting if ended.issuperset(stage.needs)]:
                    waiting.remove(stage)
                    self._start(stage)
                self._wait_for_one()
        except (KeyboardInterrupt, Interrupted):
            self._end_the_rest(by_user=True)
            raise Interrupted from None
        except BaseException:
            self._end_the_rest(by_user=False)
            raise
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._done

    def _start(self, stage: Stage) -> None:
        step = Step(stage.name, self.logs / f"{stage.name.replace(' ', '-')}.log", self.terminal)
        self._running[stage.name] = step

        def work() -> None:
            try:
                stage.work(step)
            except BaseException as error:
                self._ended.put((step, error))
            else:
                self._ended.put((step, None))

        self.terminal.event(f"{stage.name} …")
        threading.Thread(target=work, name=stage.name, daemon=True).start()

    def _wait_for_one(self) -> None:
        while True:
            try:
                step, error = self._ended.get(timeout=0.5)
            except queue.Empty:
                self._heartbeat()
                continue
            del self._running[step.name]
            if error is not None:
                self.terminal.event(f"{step.name}: failed")
                raise error
            step.seconds = time.monotonic() - step.started
            self._done.append(step)
            note = f": {step.note}" if step.note else ""
            self.terminal.event(f"{step.name} done in {clock(step.seconds)}{note}")
            return

    def _heartbeat(self) -> None:
        if time.monotonic() - self.terminal.last < HEARTBEAT:
            return
        for step in self._running.values():
            doing = step.activity if len(step.activity) <= WIDTH else step.activity[: WIDTH - 1] + "…"
            since = clock(time.monotonic() - step.started)
            self.terminal.event(f"{step.name} ({since}) {doing}".rstrip())

    def _end_the_rest(self, *, by_user: bool) -> None:
        """Ask what runs to end and wait for it.

        A user may press Ctrl-C again, and a third time to kill; after a failure what does not end is killed
        by itself, but never a command that is to be spared.
        """
        if not self._running:
            return
        if by_user:
            self.terminal.event("interrupted: what runs is asked to end orderly (Ctrl-C again to hurry it)")
        patience = [None, None, None] if by_user else [PATIENCE, None]
        for index, seconds in enumerate(patience):
            last = index == len(patience) - 1
            for step in self._running.values():
                step.stop(signal.SIGKILL if last else signal.SIGINT, also_spared=last and by_user)
            try:
                self._await_the_rest(seconds)
            except (KeyboardInterrupt, Interrupted):
                continue
            if not self._running:
                return

    def _await_the_rest(self, seconds: float | None) -> None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while self._running and (deadline is None or time.monotonic() < deadline):
            try:
                step, _ = self._ended.get(timeout=0.5)
            except queue.Empty:
                self._heartbeat()
                continue
            self._running.pop(step.name, None)


def _interrupt(_number: int, _frame: object) -> None:
    raise Interrupted


def table(steps: Sequence[Step], whole: float) -> list[str]:
    """The stages' times as lines for people; `whole` is the job's time in seconds."""
    width = max([len(step.name) for step in steps] + [len("all together")])
    lines = [f"  {step.name:<{width}}  {clock(step.seconds):>6}" for step in steps]
    return [*lines, f"  {'all together':<{width}}  {clock(whole):>6}"]
