"""Runs `pulumi` for one stack.

Owned here: how it is started, how Ctrl-C reaches it, what its exit codes mean. Left to others: which command.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from components.softlayer.progress import INTERRUPTION
from operations.errors import OperationsError

CHECKOUT = Path(__file__).resolve().parents[1]
NO_STACK = 6  # pulumi's exit code for a stack that does not exist
INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Pulumi:
    """The `pulumi` on PATH, in this checkout, with a stack and additions to the environment."""

    def __init__(self, stack: str, environment: dict[str, str]) -> None:
        program = shutil.which("pulumi")
        if program is None:
            raise OperationsError(
                "There is no `pulumi` on PATH: in the lab run this through `make` or `python -m lab exec "
                "--`; "
                "elsewhere install Pulumi (https://www.pulumi.com/docs/install/)."
            )
        self._program = program
        self._stack = stack
        self._environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", **environment}

    def told(self, environment: dict[str, str]) -> Pulumi:
        """The same with more in its environment."""
        return Pulumi(self._stack, {**self._environment, **environment})

    def _argv(self, words: tuple[str, ...]) -> list[str]:
        return [self._program, *words, "--stack", self._stack, "--non-interactive"]

    def ask(self, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a short command and return what it says; `given` is its standard input."""
        return subprocess.run(
            self._argv(words),
            cwd=CHECKOUT,
            env=self._environment,
            input=given or "",
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *words: str) -> int:
        """Run a long command with its output shown as it comes; returns its exit code, 130 if interrupted.

        Ctrl-C (or SIGTERM) reaches pulumi once from here: it lets what is under way end, and writes its
        state; waits for servers end early. A second Ctrl-C makes it end at once. Should this process be
        killed, pulumi is told to end as well.
        """
        note = Path(self._environment[INTERRUPTION]) if INTERRUPTION in self._environment else None
        if note is not None:
            note.unlink(missing_ok=True)
        process = subprocess.Popen(
            self._argv(words),
            cwd=CHECKOUT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C would reach it a second time: "end at once"
            preexec_fn=_ends_with(os.getpid()),
        )
        with _passing_on(process, note) as interrupted:
            code = process.wait()
        return INTERRUPTED if interrupted() else code


def _ends_with(parent: int) -> Callable[[], None] | None:
    """To be run in the child: SIGINT for it when this process dies. Only Linux knows how."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def arrange() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # it died before the line above
            os._exit(INTERRUPTED)

    return arrange


@contextmanager
def _passing_on(process: subprocess.Popen[bytes], note: Path | None) -> Iterator[Callable[[], bool]]:
    """While the block runs, hand interruptions on to the process; yields whether there was one.

    Providers read of it in the file `note`.
    """
    count = 0

    def hand_on(_number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count == 1:
            print(
                "\nInterrupted: pulumi finishes what is under way and keeps its state; "
                "Ctrl-C again ends it at once.",
                file=sys.stderr,
                flush=True,
            )
            if note is not None:
                note.touch()
        process.send_signal(signal.SIGINT)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, hand_on) for number in numbers}
    try:
        yield lambda: count > 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
