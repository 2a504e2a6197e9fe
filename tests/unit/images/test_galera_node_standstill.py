"""When a group counts as standing still, though Galera calls it Synced."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.unit

PACKAGE = "images.galera.galera_node"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """With a stand-in for the database's client library, which is the image's."""
    client = types.ModuleType("pymysql")
    client.Error = Exception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pymysql", client)
    names = [f"{PACKAGE}.{name}" for name in ("sql", "standstill")]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module(f"{PACKAGE}.standstill")
    for name in names:
        sys.modules.pop(name, None)


def status(**other: Any) -> Any:
    values = {"synced": True, "queued": 1, "paused": False, "committed": 57}
    return types.SimpleNamespace(**{**values, **other})


def test_what_waits_to_be_sent_while_nothing_is_committed_is_a_standstill(module: Any) -> None:
    still = module.Standstill("a", ("a", "b", "c"), 1000.0)
    assert still.seconds(status(), 1000.0) == 0
    assert still.seconds(status(), 1060.0) == 60
    assert not still.lasts(status(), 1000.0 + module.PATIENCE)
    assert still.lasts(status(), 1000.1 + module.PATIENCE)


@pytest.mark.parametrize(
    "moves",
    [
        {"committed": 58},
        {"queued": 0},
        {"paused": True},
        {"synced": False},
        None,
    ],
    ids=["a commit", "nothing waits", "flow control", "a joiner", "no answer"],
)
def test_anything_else_ends_it(module: Any, moves: dict[str, Any] | None) -> None:
    still = module.Standstill("a", ("a", "b", "c"), 1000.0)
    still.seconds(status(), 1000.0)
    assert still.seconds(None if moves is None else status(**moves), 1080.0) == 0
    assert not still.lasts(status(committed=59), 1100.0)


def test_one_node_after_the_other_gives_up(module: Any) -> None:
    patience = [module.Standstill(node, ("c", "a", "b"), 0.0).patience for node in "abc"]
    assert patience == [module.PATIENCE + turn * module.TURN for turn in (0, 1, 2)]
    assert module.Standstill("z", (), 0.0).patience == module.PATIENCE
