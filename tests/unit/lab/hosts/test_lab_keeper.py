"""The keeper's nudges, with processes in the place of the kernel."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.hosts.keeper import REBOOT, wait_and_nudge

pytestmark = pytest.mark.unit

OFTEN = 0.05  # seconds
HANDLER = "import signal, time, sys; signal.signal(signal.SIGALRM, lambda *_: sys.exit(3));"


def python(text: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", text])


def test_a_kernel_that_has_lost_its_timer_is_woken() -> None:
    assert wait_and_nudge(python(f"{HANDLER} time.sleep(60)"), OFTEN) == 3


def test_a_kernel_without_a_handler_is_left_alone() -> None:
    assert wait_and_nudge(python("import time; time.sleep(1); raise SystemExit(5)"), OFTEN) == 5


def test_a_kernel_that_ends_is_waited_for_no_longer() -> None:
    assert wait_and_nudge(python(f"{HANDLER} sys.exit(0)"), every=600) == 0


def test_a_reboot_program_hit_by_a_late_nudge_is_a_reboot_all_the_same() -> None:
    assert (
        wait_and_nudge(python("import os, signal; os.kill(os.getpid(), signal.SIGALRM)"), every=600) == REBOOT
    )
