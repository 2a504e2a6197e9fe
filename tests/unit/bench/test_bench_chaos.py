"""When chaos kills, and that it kills all of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from bench.chaos import TURNS, Round, rows
from bench.chaos_jobs import JOBS, Course
from harness.servers import kill_marked
from operations.around_run import leftovers

pytestmark = pytest.mark.unit


def test_a_process_that_was_moved_into_a_group_of_its_own_is_killed_as_well() -> None:
    mark = f"chaos-{os.getpid()}"
    code = (
        "import subprocess, sys, time; subprocess.Popen(['sleep', '60'], start_new_session=True);"
        "print(flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, leftovers.MARK: mark}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    # A process that has just begun another program has no environment yet, for a moment.
    end = time.monotonic() + 10
    while len(leftovers.marked(mark)) < 2:
        assert time.monotonic() < end
    kill_marked(mark)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert leftovers.marked(mark) == []


def test_most_kills_fall_around_orders_and_some_elsewhere() -> None:
    draw, course = random.Random(1), Course(calls=100, first=41, last=45)
    moments = [course.moment(draw) for _ in range(1000)]
    around = sum(38 <= moment <= 44 for moment in moments)
    assert 700 < around < 850
    assert min(moments) < 10
    assert max(moments) > 90


def test_the_same_seed_draws_the_same_moments() -> None:
    course = Course(calls=100, first=41, last=45)
    one, other = random.Random(7), random.Random(7)
    assert [course.moment(one) for _ in range(9)] == [course.moment(other) for _ in range(9)]


def test_every_job_has_its_turn() -> None:
    assert set(TURNS) == set(JOBS)


def test_a_round_that_went_wrong_is_said_to_have_failed() -> None:
    good = Round(1, "up", "none", "all", 12, 2, 1, 3, 3, 3)
    bad = Round(2, "up", "none", "engine", 12, 2, 1, 4, 4, 3, said="4 servers")
    assert [row[-1] for row in rows([good, bad])] == ["converged", "FAILED"]
