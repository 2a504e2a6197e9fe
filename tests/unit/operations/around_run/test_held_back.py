"""After an `up`, a host that a change which nobody goes on with has held back is let go."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from operations.around_run import held_back
from operations.around_run.care import Seen
from operations.errors import OperationsError
from operations.facts.cluster import HostFacts
from operations.outputs import Outputs
from operations.remote_hosts import Answer
from tests.unit.components.host_scripts.test_convergence import UP, tasks
from tests.unit.components.host_scripts.test_writer_last_script import RELEASED, host, updates
from tests.unit.operations.around_run.test_care import FOUND

pytestmark = pytest.mark.unit

WELL = Answer()


class Hosts:
    """Answers the same to all."""

    def __init__(self, answer: Answer) -> None:
        self.reachable, self.answer, self.asked = ["galera-2"], answer, list[tuple[str, str]]()

    async def run(self, name: str, text: str, limit: float) -> Answer:
        assert limit > 600
        self.asked.append((name, text))
        return self.answer


def asked(patch: pytest.MonkeyPatch, seen: Seen | None, answer: Answer = WELL) -> list[tuple[str, str]]:
    hosts = Hosts(answer)

    @contextlib.asynccontextmanager
    async def connected(_found: Outputs) -> AsyncIterator[Hosts]:
        yield hosts

    patch.setattr(held_back, "connected", connected)
    held_back.after_up(FOUND, seen)
    return hosts.asked


def paused() -> Seen:
    facts = {each.name: HostFacts() for each in FOUND.hosts}
    return Seen(FOUND, {**facts, "galera-1": replace(HostFacts(), paused=("galera-3",))}, {})


def test_a_host_that_was_paused_before_the_run_is_asked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, paused()) == [("galera-2", held_back.let_go(3))]


def test_where_no_host_was_paused_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, None) == []
    assert asked(monkeypatch, Seen(FOUND, {"galera-1": HostFacts()}, {})) == []


def test_what_keeps_it_held_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationsError, match="stays so: galera was rolled back"):
        asked(monkeypatch, paused(), Answer(error="galera was rolled back"))


def test_it_is_let_go_once_the_others_are_as_the_service_says(tmp_path: Path) -> None:
    made = host(tmp_path / "host")
    made.file("held", "n2|galera-2\n")
    made.file("tasks.1", tasks(UP, UP, UP))
    made.file("update.1", "updating|\n")
    made.file("update.2", "completed|\n")
    for number, line in enumerate((f"old|{UP}|", f"old|{UP}|", f"new|{UP}|"), 1):
        made.file(f"last.{number}", f"{line}\n")
    ran = made.run(held_back.let_go(3))
    assert (ran.code, updates(ran)) == (0, [RELEASED]), ran.err


def test_a_host_that_somebody_else_has_paused_stays_so(tmp_path: Path) -> None:
    ran = host(tmp_path / "host").run(held_back.let_go(3))
    assert (ran.code, ran.out, updates(ran)) == (0, "", []), ran.err
