"""When a node that waits for a copy of the data starts over, because nobody knows of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.galera.galera_node.orphan import PATIENCE, Orphan
from images.galera.galera_node.store import Facts, Presence, View
from images.galera.galera_node.transfer import Progress

pytestmark = pytest.mark.unit

WAITS = Progress("joiner", "waiting", 0, 0.0)
U = "e41867b7-fa12-4190-916c-d1df3f9a2e23"
SYNCED = Presence("synced", U, 12, "10.20.0.10")
OTHERS = Facts(present={"a": SYNCED}, view=View(U, "", 12, ("a", "b")))
ALL = replace(OTHERS, view=View(U, "", 13, ("a", "b", "c")))


@pytest.mark.parametrize(
    ("_what", "progress", "facts", "lasts"),
    [
        ("the others' component is without it", WAITS, OTHERS, True),
        ("it is a member, and waits its turn", WAITS, ALL, False),
        ("it receives", replace(WAITS, phase="receiving"), OTHERS, False),
        ("it sends", Progress("donor", "starting", 0, 0.0), OTHERS, False),
        ("there is no copy under way", None, OTHERS, False),
        ("the store is away", WAITS, None, False),
        (
            "the only one that would say so is a donor",
            WAITS,
            replace(OTHERS, present={"a": replace(SYNCED, state="primary")}),
            False,
        ),
        ("nobody has said who is in the component", WAITS, replace(OTHERS, view=None), False),
    ],
)  # fmt: skip
def test_who_is_alone(_what: str, progress: Progress | None, facts: Facts | None, lasts: bool) -> None:
    orphan = Orphan("c", 100.0)
    assert not orphan.lasts(progress, facts, 100.0 + PATIENCE)
    assert orphan.lasts(progress, facts, 100.1 + PATIENCE) is lasts


def test_a_moment_in_the_group_begins_the_wait_anew() -> None:
    orphan = Orphan("c", 0.0)
    assert not orphan.lasts(WAITS, OTHERS, 50.0)
    assert not orphan.lasts(WAITS, ALL, 59.0)
    assert not orphan.lasts(WAITS, OTHERS, 110.0)
    assert orphan.lasts(WAITS, OTHERS, 120.0)
