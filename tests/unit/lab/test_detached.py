"""Processes that outlive whoever starts them, and are no zombies while it lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import detached

pytestmark = pytest.mark.unit

CHECKOUT = Path(__file__).parents[3]


def is_gone(number: int) -> bool:
    """Whether not even a zombie of that number is left within ten seconds."""
    end = time.monotonic() + 10
    while Path(f"/proc/{number}").exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_one_that_has_ended_leaves_its_words_and_no_zombie(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    number = detached.start(["sh", "-c", "echo $0 $A; exit 3", "said"], log=log, cwd=tmp_path, env={"A": "b"})
    assert is_gone(number)
    assert log.read_text() == "before\nsaid b\n"


def test_one_is_in_a_session_of_its_own(tmp_path: Path) -> None:
    number = detached.start(["sleep", "60"], log=tmp_path / "log", cwd=tmp_path)
    try:
        assert os.getsid(number) == number
    finally:
        os.kill(number, signal.SIGKILL)
    assert is_gone(number)


def test_one_outlives_its_starter_which_ends_at_once_and_without_a_word(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lab import detached\n"
        "print(detached.start(['sleep', '60'], log=Path(sys.argv[1]), cwd=Path('/')))"
    )
    words = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "log")]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=30)
    number = int(done.stdout)
    assert done.stderr == ""
    os.kill(number, signal.SIGKILL)  # which fails if it is gone
