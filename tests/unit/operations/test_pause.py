"""`pause` and `resume`: when they are refused, what they write, and that a no leaves the file as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from operations import outputs, pause
from operations.errors import OperationsError
from operations.outputs import Application
from operations.session import StackSession
from tests.unit.operations.around_run.test_care import seen
from tests.unit.operations.test_verify import VALUES

pytestmark = pytest.mark.unit

FOUND = outputs.parse("dev", VALUES)


def test_a_stack_whose_database_runs_may_be_paused_and_one_that_was_broken_off_goes_on() -> None:
    assert pause.why_not_paused(FOUND, {}) == ""
    half = replace(FOUND, layer="swarm")
    assert pause.why_not_paused(half, {"deployUpTo": "swarm", "takeDown": ["data"]}) == ""


@pytest.mark.parametrize(
    ("layer", "settings", "told"),
    [
        ("data", {"deployUpTo": "data"}, "deployUpTo: data, which `resume` could not restore"),
        ("data", {"deployUpTo": "hosts"}, "deployUpTo: hosts"),
        ("data", {"keepData": False}, "keepData: false, with which the rows of every node would go"),
        ("data", {"keepData": "false"}, "keepData: false"),
        ("hosts", {}, "deployed up to the layer hosts"),
    ],
)
def test_what_resume_could_not_undo_is_not_paused(layer: Any, settings: Mapping[str, Any], told: str) -> None:
    assert told in pause.why_not_paused(replace(FOUND, layer=layer), settings)


def test_only_what_pause_wrote_is_resumed() -> None:
    assert pause.why_not_resumed({"deployUpTo": "swarm", "takeDown": ["data"]}) == ""
    assert "nothing of a pause" in pause.why_not_resumed({})
    assert "not what `pause` writes" in pause.why_not_resumed({"deployUpTo": "hosts"})


def test_the_application_goes_with_its_database() -> None:
    assert pause.goes(FOUND) == ["data"]
    assert pause.goes(replace(FOUND, application=Application("application", 2, 80))) == [
        "data",
        "application",
    ]


def test_a_stack_one_of_whose_hosts_is_held_back_is_not_paused() -> None:
    """The swarm would start neither store nor database there again, and `resume` would wait for both."""
    assert pause.why_not_back(None) == pause.why_not_back(seen()) == ""
    held = seen(galera_1=lambda host: replace(host, paused=("galera-2", "galera-4")))
    assert "starts nothing on galera-2, as on the last host" in pause.why_not_back(held)
    worker = seen(galera_1=lambda host: replace(host, paused=("galera-4",)))
    assert pause.why_not_back(worker) == ""


class Config:
    """A stack's file as `pulumi config` changes it."""

    def __init__(self, file: Path, answer: bool) -> None:
        self.file, self.answer, self.deployed = file, answer, False
        self.no: BaseException = typer.Exit(1)

    def write_setting(self, key: str, value: str) -> None:
        self.file.write_text(f"{self.file.read_text()}{key}={value}\n")

    def remove_setting(self, key: str) -> None:
        kept = [line for line in self.file.read_text().splitlines() if not line.startswith(key)]
        self.file.write_text("".join(f"{line}\n" for line in kept))

    @property
    def session(self) -> StackSession:
        return cast(StackSession, SimpleNamespace(name="dev", pulumi=self, confirm=self._confirm))

    def _confirm(self, *_: object) -> None:
        if not self.answer:
            raise self.no


@pytest.mark.parametrize("answer", [True, False])
def test_the_words_are_in_the_stack_s_file_and_a_no_takes_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text("# a comment\n")
    config = Config(file, answer)
    monkeypatch.setattr(pause, "stack_file", lambda _: file)
    monkeypatch.setattr(pause, "deployed", lambda *_: setattr(config, "deployed", True))
    words = {"deployUpTo": "swarm", "takeDown": ["data", "application"]}
    if not answer:
        with pytest.raises(typer.Exit):
            pause._changed(config.session, False, words)
        assert (file.read_text(), config.deployed) == ("# a comment\n", False)
        return
    pause._changed(config.session, False, words)
    assert file.read_text().splitlines()[1:] == [
        "swarm-galera:deployUpTo=swarm",
        "swarm-galera:takeDown[0]=data",
        "swarm-galera:takeDown[1]=application",
    ]
    pause._changed(config.session, False, dict.fromkeys(pause.WORDS))
    assert (file.read_text(), config.deployed) == ("# a comment\n", True)


@pytest.mark.parametrize("no", [typer.Abort(), KeyboardInterrupt(), OperationsError("no such stack")])
def test_whatever_ends_the_question_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no: BaseException
) -> None:
    """Ctrl-C at typer's question is none of Python's own; the next `up` would stop the database."""
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text("# a comment\n")
    config = Config(file, answer=False)
    config.no = no
    monkeypatch.setattr(pause, "stack_file", lambda _: file)
    with pytest.raises(type(no)):
        pause._changed(config.session, False, {"deployUpTo": "swarm"})
    assert file.read_text() == "# a comment\n"
