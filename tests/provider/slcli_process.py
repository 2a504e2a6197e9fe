"""slcli without its long start: a process that has loaded it forks for every command.

Owns: running a command as the program itself does, with its words, environment, standard streams, exit code.
Leaves to others: what is run, and what is expected of it (test_slcli.py, which also shows that a fork does
what a start does).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(sys.executable).parent / "slcli"
PATIENCE = 120
"""Seconds after which a command is ended."""


class Slcli:
    """Both ways to run slcli: `start` begins the program anew, `fork` goes on where it is loaded already."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes the commands' output."""
        self._output = folder / "stdout", folder / "stderr"
        asked, self._asks = os.pipe()
        self._answers, answer = os.pipe()
        self._loaded = subprocess.Popen(
            [sys.executable, "-m", "tests.provider.slcli_process", str(asked), str(answer)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            pass_fds=(asked, answer),
        )
        os.close(asked)
        os.close(answer)
        self._replies = os.fdopen(self._answers)

    def close(self) -> None:
        """End the loaded process."""
        os.close(self._asks)
        self._replies.close()
        self._loaded.wait(timeout=PATIENCE)

    def fork(self, words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command in a fork of the loaded process."""
        stdout, stderr = self._output
        asked = {
            "argv": [str(PROGRAM), *words],
            "environment": environment,
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        os.write(self._asks, json.dumps(asked).encode() + b"\n")
        code = int(self._replies.readline())
        return subprocess.CompletedProcess(words, code, stdout.read_text(), stderr.read_text())

    def start(self, words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command as a user does."""
        return subprocess.run(
            [str(PROGRAM), *words],
            capture_output=True,
            text=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=PATIENCE,
        )


def serve(questions: IO[str], answers: IO[str]) -> dict[str, Any] | None:
    """Fork for every question; returns in each fork what was asked, and None when there are no more."""
    for line in questions:
        child = os.fork()
        if child == 0:
            asked: dict[str, Any] = json.loads(line)
            return asked
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()
    return None


def become(asked: dict[str, Any]) -> None:
    """Take over a command's words, environment and output."""
    for number, file in ((1, asked["stdout"]), (2, asked["stderr"])):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["argv"]
    sys.modules["__main__"].__package__ = None  # as in the program: usage lines name it after this
    signal.alarm(PATIENCE)


if __name__ == "__main__":
    from SoftLayer.CLI.core import main

    with os.fdopen(int(sys.argv[1])) as questions, os.fdopen(int(sys.argv[2]), "w") as answers:
        asked = serve(questions, answers)
    if asked is not None:
        become(asked)
        sys.exit(main())
