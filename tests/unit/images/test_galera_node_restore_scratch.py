"""The scratch server's container: what is dumped, under which name, and what there is no room for."""

from __future__ import annotations

import importlib
import json
import subprocess
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from images.galera.galera_node.store import Details
from tests.unit.images import test_galera_node_restore_scheduled
from tests.unit.images.test_galera_node_restore_record import NEW, here, joined
from tests.unit.images.test_galera_node_restore_record import cluster as three_nodes
from tests.unit.images.test_galera_node_restore_scheduled import PACKAGE

pytestmark = pytest.mark.unit
scheduled = test_galera_node_restore_scheduled.scheduled


class Server:
    """Has the tables that it is given, and takes statements. size: bytes of what is asked for."""

    def __init__(self, *tables: tuple[str, str], size: int = 0) -> None:
        self.tables, self.size, self.said = set(tables), size, list[str]()
        self.schemas = dict[str, tuple[str, str]]()

    def run(self, statement: str, parameters: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        if "SUM(DATA_LENGTH" in statement:
            return [(self.size,)]
        if "information_schema.SCHEMATA" in statement:
            return [self.schemas[name] for name in parameters if name in self.schemas]
        if "information_schema.TABLES" in statement:
            return [(1,)] if tuple(parameters) in self.tables else []
        if "information_schema" not in statement:
            self.said.append(statement)
        return []


@pytest.fixture
def module(scheduled: Any) -> Any:
    return importlib.import_module(f"{PACKAGE}.restore.scratch_server")


def test_a_table_is_renamed_before_it_is_dumped(module: Any) -> None:
    server = Server(("app", "word"))
    assert module._renamed(server, ("app", "word"), "before.word") == ["before", "word"]
    assert server.said == [
        "CREATE DATABASE IF NOT EXISTS `before`",
        "RENAME TABLE `app`.`word` TO `before`.`word`",
    ]


def test_a_table_that_was_dropped_comes_back_under_its_own_name(module: Any) -> None:
    """What is asked for is not in its own way."""
    server = Server(("app", "word"))
    assert module._renamed(server, ("app", "word"), "app.word") == ["app", "word"]
    assert server.said == []


def test_a_table_that_is_not_there_at_the_position_is_an_error(module: Any) -> None:
    with pytest.raises(Exception, match=r"there is no table app\.word at that position"):
        module._renamed(Server(), ("app", "word"), "app.word_before")


@pytest.mark.parametrize("words", [["app"], ["app", "word"]])
def test_what_would_fill_the_disks_of_the_nodes_is_not_dumped(module: Any, words: list[str]) -> None:
    # In the table, and in the binary log.
    module.refuse_size(Server(size=500), words, 1000)
    with pytest.raises(Exception, match="the fullest one has room for"):
        module.refuse_size(Server(size=501), words, 1000)


@pytest.mark.parametrize(
    ("what", "into", "said"),
    [
        ("app", "a`b", "ALTER DATABASE `a``b` CHARACTER SET latin1 COLLATE latin1_german2_ci;\nthe dump\n"),
        ("app.word", "before.word", "the dump\n"),
    ],
)
def test_a_database_keeps_its_character_set_under_a_new_name(
    module: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
    into: str,
    said: str,
) -> None:
    """Tables that are made later take it. Into which database a table comes is another matter.

    It is named: where the load is replayed from a binary log, another one may be in use, or none.
    """

    def dump(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        print("the dump")
        return subprocess.CompletedProcess([], 0, stderr=b"")

    server = Server(("app", "word"))
    server.schemas["app"] = ("latin1", "latin1_german2_ci")
    monkeypatch.setattr(module.subprocess, "run", dump)
    module._dump(server, what, into, 1000)
    assert capsys.readouterr().out == said


def test_a_database_that_is_not_there_at_the_position_is_an_error(module: Any) -> None:
    with pytest.raises(Exception, match="there is no database app at that position"):
        module._dump(Server(), "app", "before", 1000)


def test_who_asks_for_a_restore_s_state_hears_who_has_the_data_of_before(
    scheduled: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its place on one, aside on another; none on those that were made anew."""
    console = importlib.import_module(f"{PACKAGE}.restore.console")
    memory = three_nodes()
    restore = joined(memory)
    memory.put("present/b", here("synced", 2, NEW))
    memory.put("present/c", here("synced", 3, NEW))
    memory.put("details/b", Details(aside=restore.id))
    settings = types.SimpleNamespace(node="c", data_dir=tmp_path)
    monkeypatch.setattr(console, "_here", lambda: (settings, memory))
    assert console.main(["restore", "status"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["keep"], told["aside"]) == (["a", "b"], "")


def test_a_large_table_may_be_read_for_hours(scheduled: Any, tmp_path: Path) -> None:
    scratch = importlib.import_module(f"{PACKAGE}.restore.scratch")
    made = scratch.Scratch(tmp_path / "data", tmp_path / "run", 1, print)
    assert made.sql._patience >= 3600
